"""A Kubernetes-shaped network out of namespaces: two nodes, a routed fabric, an outside client, dual-stack Pods."""
