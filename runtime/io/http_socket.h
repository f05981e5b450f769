/* http_socket.h: three things about a TCP socket for the HTTP server. Any thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Payload bytes received since the connection began; 0 if the kernel does not say. */
uint64_t socket_bytes_received(int fd);
/* Are there bytes to read? */
bool socket_bytes_waiting(int fd);
/* Sends RST at once. The descriptor stays open and belongs to whom it belonged. */
void socket_reset(int fd);
