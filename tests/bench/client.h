/* client.h - what both kinds of clients share: the way to the server and the message that
 * travels. One thread. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdint.h>

#define SENDER         "bob"
#define CHANNEL        "news"
#define ID_DIGITS      19
#define USER_DIGITS    6
#define MESSAGE_DIGITS 10
#define MESSAGE_SIZE   200

/* A blocking connection to the server on 127.0.0.1, without delay; ends the process when
 * there is none within 5 seconds. */
int client_connect(uint16_t port);

/* Writes MESSAGE_SIZE bytes: the message's number, its user, then letters. */
void message_write(char *at, uint32_t number, uint32_t user);

#endif
