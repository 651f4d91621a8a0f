#include "top/commands.h"

#include <jansson.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <uv.h>
#include <wslay/wslay.h>

#include "config/command.h"
#include "config/config.h"
#include "top/server.h"

#define TO_SERVER                                                                                  \
    {"--url", "URL", "the server (that of `listen`, on this machine)", "PUSHWIRE_URL"},            \
    {                                                                                              \
        "--key", "KEY", "a publisher's key, pw_...", "PUSHWIRE_KEY"                                \
    }

static const struct command_default dev_defaults[] = {{"broker", "memory"}, {NULL, NULL}};

static const struct command_flag send_flags[] = {
    {"--json", "JSON", "the message, instead of a text", NULL},
    {"--channel", "NAME", "to all who listen there, instead of to a user", NULL},
    {"--broadcast", NULL, "to everyone", NULL},
    {"--sender", "NAME", "from whom; a key may fix it ($USER)", NULL},
    {"--ttl", "DURATION", "how long it is kept; 0s: for those online now", NULL},
    {"--once", "NAME", "under this key, so that it is sent but once (a random one)", NULL},
    TO_SERVER,
    {NULL, NULL, NULL, NULL},
};

static const struct command_flag listen_flags[] = {
    {"--channels", "A,B", "these channels, too", NULL},
    {"--after", "ID", "begin after this message; 0: with all that is kept", NULL},
    {"--json", NULL, "print each as it came, one JSON object a line", NULL},
    {"--exec", "COMMAND", "run this by sh for each, see below", NULL},
    {"--count", "N", "end after so many", NULL},
    {"--token", "TOKEN", "the user's token", "PUSHWIRE_TOKEN"},
    TO_SERVER,
    {NULL, NULL, NULL, NULL},
};

static const struct command_flag health_flags[] = {
    {"--ready", NULL, "does it take messages? (else: does it answer?)", NULL},
    {"--url", "URL", "the server (that of `listen`, on this machine)", "PUSHWIRE_URL"},
    {NULL, NULL, NULL, NULL},
};

static const struct command_flag key_new_flags[] = {
    {"--scope", "LIST", "of send, read, manage and token (send)", NULL},
    {"--sender", "NAME", "all its messages are from", NULL},
    {"--prefix", "PREFIX", "what every name it uses must begin with", NULL},
    {"--id", "ID", "its name in logs and lists (a random one)", NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct command_flag token_flags[] = {
    {"--user", "USER", "whose it is", NULL},
    {"--ttl", "DURATION", "how long it counts, at most token_max_age (1h)", NULL},
    {"--channels", "A,B*", "which channels it may listen to", NULL},
    {"--publish", "A,B*|*", "where it may send to; *: anywhere", NULL},
    {NULL, NULL, NULL, NULL},
};

static int help_command(const struct config *config);

const struct command commands[] = {
    {
        .word = "serve",
        .operands = "",
        .help = "run the server until Ctrl-C; also without a word",
        .run = server_run,
    },
    {
        .word = "dev",
        .operands = "",
        .help = "the same to try it out: messages in memory",
        .details = "Serves this machine and leaves nothing behind. All flags of serve are there.",
        .run = server_run,
        .defaults = dev_defaults,
    },
    {
        .word = "send",
        .operands = "[USER] [TEXT|-]",
        .most = 2,
        .help = "send a message",
        .details = "pushwire send alice \"hi\"\n"
                   "pushwire send alice --json '{\"title\":\"Invoice\"}'\n"
                   "pushwire send --channel news \"hi\"\n"
                   "tail -f log | pushwire send alice -      each line is a message\n"
                   "pushwire send - < messages.ndjson        each line says where it goes\n"
                   "\n"
                   "Prints `sent ID delivered=N`; 0: sent, 1: not. Tries again where that is safe.",
        .run = send_command,
        .flags = send_flags,
    },
    {
        .word = "listen",
        .operands = "USER",
        .least = 1,
        .most = 1,
        .help = "print a user's messages as they come",
        .details = "Comes back by itself after everything it has. --exec finds the message in\n"
                   "$MESSAGE, $MESSAGE_ID, $MESSAGE_SENDER, $MESSAGE_CHANNEL, $MESSAGE_EVENT\n"
                   "and $MESSAGE_JSON.\n"
                   "With a --key of the scope token it asks for the user's token itself.",
        .run = listen_command,
        .flags = listen_flags,
    },
    {
        .word = "health",
        .operands = "",
        .help = "does the server answer? 0: yes, 1: no",
        .run = health_command,
        .flags = health_flags,
    },
    {
        .word = "key new",
        .operands = "",
        .help = "draw a publisher's key, and print it once",
        .details = "Its line is appended to keys_file, or printed where there is none.",
        .run = key_new_command,
        .flags = key_new_flags,
    },
    {
        .word = "key list",
        .operands = "",
        .help = "what stands in keys_file",
        .run = key_list_command,
    },
    {
        .word = "key revoke",
        .operands = "ID",
        .least = 1,
        .most = 1,
        .help = "take a key out of keys_file",
        .details = "It counts until the server reads the file again (SIGHUP).",
        .run = key_revoke_command,
    },
    {
        .word = "token",
        .operands = "",
        .help = "print a receiver's token (--user ...)",
        .details =
            "Signed by the first line of jwt_secret_file, else by the secret that the server\n"
            "has made in data_dir.",
        .run = token_command,
        .flags = token_flags,
    },
    {
        .word = "token check",
        .operands = "TOKEN|-",
        .least = 1,
        .most = 1,
        .help = "would it be taken? and what it says",
        .details = "0: yes, 1: no. Whether its user was revoked, only the server knows.",
        .run = token_check_command,
    },
    {
        .word = "backup",
        .operands = "FILE",
        .least = 1,
        .most = 1,
        .help = "copy the messages, while it runs or not",
        .run = backup_command,
    },
    {
        .word = "check-data",
        .operands = "",
        .help = "look for damage in the data folder",
        .run = check_data_command,
    },
    {
        .word = "config init",
        .operands = "",
        .help = "print a commented file to begin with",
        .run = config_init_command,
        .ignores_config = true,
    },
    {
        .word = "completion",
        .operands = "bash|zsh|fish",
        .least = 1,
        .most = SIZE_MAX, /* what is typed already, which the shells hand back */
        .help = "print what completes this in a shell",
        .details = "source <(pushwire completion bash)\n"
                   "source <(pushwire completion zsh)\n"
                   "pushwire completion fish | source",
        .run = completion_command,
        .ignores_config = true,
    },
    {
        .word = "help",
        .operands = "[COMMAND]",
        .most = 2,
        .help = "all of it, or more on one command",
        .run = help_command,
        .ignores_config = true,
    },
    {
        .word = "version",
        .operands = "",
        .help = "its version, and those of its libraries",
        .run = version_command,
        .ignores_config = true,
    },
    {.word = NULL},
};

/* ---- help and version ---- */

void commands_print_help(void)
{
    fputs("Pushwire: HTTP in, WebSocket out.\n\n", stdout);
    command_print_list(stdout, commands, NULL);
    fputs("\n"
          "  --config <file>                     the configuration, YAML or JSON (none)\n"
          "  --check-config                      only look whether a start would succeed\n"
          "  --print-config                      show each value and where it came from\n"
          "  --help, -h, --version, -V\n"
          "\n"
          "pushwire help serve                   every key of the configuration, as a flag\n"
          "pushwire help COMMAND                 what one command takes\n",
          stdout);
}

void commands_print_help_of(const struct command *command)
{
    command_print_help(stdout, command);
    if (command->run == server_run) {
        putchar('\n');
        config_help(stdout);
    } else if (!command->ignores_config) {
        puts("\nFlags of the configuration stand on either side of the word: pushwire help serve");
    }
}

static int help_command(const struct config *config)
{
    size_t words = 0, given = config->operand_count;
    const char *word = given ? config->operands[0] : NULL;
    char near[COMMAND_WORD_SIZE];
    if (!word) {
        commands_print_help();
        return 0;
    }
    const char *next = given > 1 ? config->operands[1] : NULL;
    const struct command *command = command_find(commands, word, next, &words);
    if (command && words == given) {
        commands_print_help_of(command);
        return 0;
    }
    if (given == 1 && command_is_group(commands, word)) {
        command_print_list(stdout, commands, word);
        return 0;
    }
    const char *nearest = command_nearest(commands, word, near);
    fprintf(stderr, "pushwire help: there is no such command%s%s%s; see pushwire help\n",
            nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return 2;
}

int version_command(const struct config *config)
{
    (void)config;
    printf("pushwire %s (libuv %s, libmicrohttpd %s, wslay %s, jansson %s, sqlite %s)\n",
           PUSHWIRE_VERSION, uv_version_string(), MHD_get_version(), WSLAY_VERSION, JANSSON_VERSION,
           sqlite3_libversion());
    return 0;
}
