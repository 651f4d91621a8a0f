#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/mem.h"
#include "base/units.h"
#include "model/access.h"
#include "model/address.h"
#include "model/revocations.h"
#include "model/token.h"
#include "top/commands.h"
#include "top/credentials.h"
#include "top/options.h"

#define MAX_PATTERNS 1000

static int complain(const char *text)
{
    fprintf(stderr, "pushwire token: %s\n", text);
    return 2;
}

/* `a,b*` as patterns, which stay in *list (to be freed). False: one of them is none. */
static bool split(const char *text, char **list, const char *ret_patterns[MAX_PATTERNS + 1])
{
    char *rest;
    size_t count = 0;
    *list = mem_strdup(text);
    for (char *word = strtok_r(*list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (count == MAX_PATTERNS || !token_is_pattern(word, strlen(word)))
            return false;
        ret_patterns[count++] = word;
    }
    ret_patterns[count] = NULL;
    return true;
}

static int print_token(const struct config *config, const struct token_draft *draft)
{
    char *error = NULL;
    struct revocations *none = revocations_open(NULL, 0, 0);
    struct access *access = credentials_read(config, config, none, &error);
    char *token = access ? access_sign(access, *draft) : NULL;
    if (token)
        puts(token);
    else
        fprintf(stderr, "pushwire token: %s\n",
                error ? error : "there is no secret to sign with, see jwt_secret_file");
    int code = token && fflush(stdout) == 0 ? 0 : 1;
    free(token);
    free(error);
    access_unref(access);
    revocations_close(none);
    return code;
}

int token_command(const struct config *config)
{
    static const char *channel_list[MAX_PATTERNS + 1], *publish_list[MAX_PATTERNS + 1];
    const char *user = NULL, *ttl = "1h", *channels = NULL, *publish = NULL;
    char *channel_text = NULL, *publish_text = NULL;
    const struct option_row rows[] = {{"--user", &user, NULL},
                                      {"--ttl", &ttl, NULL},
                                      {"--channels", &channels, NULL},
                                      {"--publish", &publish, NULL}};
    struct token_draft draft = {.issued_ms = clock_wall_ms()};
    if (!options_read("token", config->arguments, config->argument_count, rows,
                      sizeof rows / sizeof *rows))
        return 2;
    if (!user || !address_is_name(user, strlen(user)))
        return complain("say whose it is: --user alice");
    if (units_parse_duration(ttl, &draft.ttl_ms) != 0 || draft.ttl_ms < UNITS_SECOND ||
        draft.ttl_ms > config->token_max_age_ms)
        return complain("--ttl is a duration from 1s to token_max_age, as in 1h");
    if (!credentials_configured(config))
        return complain("no credentials are configured: see jwt_secret_file and keys_file");
    draft.user = user;
    draft.publish_anywhere = publish && strcmp(publish, "*") == 0;
    draft.channels = channels ? channel_list : NULL;
    draft.publish = publish && !draft.publish_anywhere ? publish_list : NULL;
    int code =
        (!channels || split(channels, &channel_text, channel_list)) &&
                (!publish || split(publish, &publish_text, publish_list))
            ? print_token(config, &draft)
            : complain("--channels and --publish are names between commas, as in news,room:*");
    free(channel_text);
    free(publish_text);
    return code;
}
