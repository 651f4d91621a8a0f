#include <jansson.h>
#include <jose/b64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "base/mem.h"
#include "base/units.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/revocations.h"
#include "model/token.h"
#include "model/topic.h"
#include "top/commands.h"
#include "top/credentials.h"

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
        if (count == MAX_PATTERNS || !claims_is_pattern(word, strlen(word)))
            return false;
        ret_patterns[count++] = word;
    }
    ret_patterns[count] = NULL;
    return true;
}

/* What the server has, too: one that is made here would be worth nothing there. */
static struct access *read_access(const struct config *config, struct revocations *none,
                                  char **ret_error)
{
    char *path;
    if (!credentials_lack_secret(config, &path))
        return credentials_read(config, config, none, ret_error);
    if (asprintf(ret_error,
                 "%s: there is no such secret. The server makes it when it starts: name its folder "
                 "with --data-dir, or a secret with --jwt-secret-file",
                 path) < 0)
        *ret_error = mem_strdup("out of memory");
    free(path);
    return NULL;
}

static int print_token(const struct config *config, const struct token_draft *draft)
{
    char *error = NULL;
    struct revocations *none = revocations_open(NULL, 0, 0);
    struct access *access = read_access(config, none, &error);
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

static int complain_of_ttl(const struct config *config)
{
    char longest[UNITS_TEXT_SIZE];
    fprintf(stderr, "pushwire token: --ttl is a duration from 1s to token_max_age, which is %s\n",
            units_format_duration(longest, config->token_max_age_ms));
    return 2;
}

int token_command(const struct config *config)
{
    static const char *channel_list[MAX_PATTERNS + 1], *publish_list[MAX_PATTERNS + 1];
    const char *user = config_option(config, "--user"), *ttl = config_option(config, "--ttl");
    const char *channels = config_option(config, "--channels");
    const char *publish = config_option(config, "--publish");
    char *channel_text = NULL, *publish_text = NULL;
    struct token_draft draft = {.issued_ms = clock_wall_ms(), .ttl_ms = UNITS_HOUR};
    if (!user || !topic_is_name(user, strlen(user)))
        return complain("say whose it is: --user alice");
    if ((ttl && units_parse_duration(ttl, &draft.ttl_ms) != 0) || draft.ttl_ms < UNITS_SECOND ||
        draft.ttl_ms > config->token_max_age_ms)
        return complain_of_ttl(config);
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

/* ---- check ---- */

/* What the token says, as it says it; it was verified. */
static void print_claims(const char *token)
{
    const char *payload = strchr(token, '.') + 1;
    json_t *text = json_stringn_nocheck(payload, strcspn(payload, "."));
    json_t *claims = jose_b64_dec_load(text);
    if (claims)
        json_dumpf(claims, stdout, JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(claims);
    json_decref(text);
}

static int judge(const struct access *access, const char *token)
{
    struct identity *identity = NULL;
    const char *why = "";
    char until[CLOCK_TEXT_SIZE];
    int err = access_identify(access, token, strlen(token), clock_wall_ms(), &identity, &why);
    if (err || !identity_user(identity)) {
        printf("refused: %s\n", err ? why : "this is a key, no token");
        identity_destroy(identity);
        return 1;
    }
    clock_format(identity_end_ms(identity), until);
    printf("good for %s until %s\n", identity_user(identity), until);
    identity_destroy(identity);
    print_claims(token);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* As an operand, or for `-` the first line of standard input: others can read a command line. */
static const char *read_token(const char *operand, char ret_line[static TOKEN_MAX + 2])
{
    if (strcmp(operand, "-") != 0)
        return operand;
    if (!fgets(ret_line, TOKEN_MAX + 2, stdin))
        return "";
    ret_line[strcspn(ret_line, "\r\n")] = '\0';
    return ret_line;
}

int token_check_command(const struct config *config)
{
    char line[TOKEN_MAX + 2], *error = NULL;
    const char *token = read_token(config->operands[0], line);
    if (!credentials_configured(config))
        return complain("no credentials are configured: see jwt_secret_file and keys_file");
    struct revocations *none = revocations_open(NULL, 0, 0);
    struct access *access = read_access(config, none, &error);
    int code = access ? judge(access, token) : 1;
    if (!access)
        fprintf(stderr, "pushwire token: %s\n", error);
    free(error);
    access_unref(access);
    revocations_close(none);
    return code;
}
