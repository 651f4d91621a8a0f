/* config_environment.h - what the environment says of the configuration. envp ends in NULL. */
#ifndef CONFIG_CONFIG_ENVIRONMENT_H
#define CONFIG_CONFIG_ENVIRONMENT_H

struct config;
struct config_errors;

/* The value of a variable, borrowed; NULL: there is none. */
const char *config_environment_find(char *const *envp, const char *name);

/* Sets what PUSHWIRE_ variables say. One that is nobody's is an error, unless it is a service link
 * of Kubernetes. */
void config_environment_apply(struct config *config, char *const *envp,
                              struct config_errors *errors);

#endif
