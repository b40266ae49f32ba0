"""Front ends as they are deployed, the real programs: nginx, Envoy and HAProxy as ingress, squid as explicit proxy."""
