"""What DNS says and how a C library asks for it: messages, transports, resolv.conf and the walks over names."""
