#include <string.h>

#include "base/network.h"
#include "base/origin.h"
#include "base/text.h"
#include "base/units.h"
#include "config/config_row.h"

/* What stands between quotes as it is. */
static bool is_plain(const char *text)
{
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == '"' || *at == '\\')
            return false;
    }
    return text_is_utf8(text, strlen(text));
}

/* host:port, the host a name, an IPv4 address, or an IPv6 address in brackets; or unix:/path.
 * Whether it exists is for whoever binds it to find out. */
static bool is_address(const char *text)
{
    size_t host;
    int64_t port;

    if (!strncmp(text, "unix:/",
                 strlen("unix:/"))) /* a path that a socket's address has room for */
        return strlen(text) - strlen("unix:") < 108 && is_plain(text);
    if (*text == '[') {
        size_t inside = strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (inside < 2 || text[1 + inside] != ']')
            return false;
        host = inside + 2;
    } else {
        host = strcspn(text, ":");
        if (!host || strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  ".-_") != host)
            return false;
    }
    return text[host] == ':' && !units_parse_number(text + host + 1, &port) && port <= 65535;
}

const struct config_form config_form_address = {
    is_address, "host:port",
    "is not an address, say localhost:8000, 0.0.0.0:8000, [::]:8000 or "
    "unix:/run/pushwire/http.sock"};
const struct config_form config_form_origin = {
    origin_is_listed_form, "origin",
    "is not an origin, say https://app.example.com or http://localhost:3000"};

const struct config_form config_form_network = {
    network_is, "network", "is not a network, say 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"};
const struct config_form config_form_path = {
    is_plain, "path", "has quotes, backslashes or control characters, which no path here may have"};
const struct config_form config_form_text = {is_plain, "text",
                                             "has quotes, backslashes or control characters"};
