/* getaddrinfo of the C library this is linked with: its return value, then the addresses in their order.
 * Arguments: a name, and a family where it is not AF_UNSPEC. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = 0;
	char text[INET6_ADDRSTRLEN];
	int error;

	hints.ai_family = argc > 2 ? atoi(argv[2]) : AF_UNSPEC;
	error = argc > 1 ? getaddrinfo(argv[1], "80", &hints, &found) : EAI_FAIL;
	printf("%d", error);
	for (struct addrinfo *one = error ? 0 : found; one; one = one->ai_next) {
		const void *address = one->ai_family == AF_INET6
			? (void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr
			: (void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr;
		printf(" %s", inet_ntop(one->ai_family, address, text, sizeof text));
	}
	puts("");
	return 0;
}
