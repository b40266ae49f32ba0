"""What the kernel and the bytes give: sockets, TLS streams, datagrams, DNS messages. No layer semantics here."""
