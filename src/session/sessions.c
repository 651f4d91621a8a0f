#include "session/sessions.h"

#include <sys/random.h>

#include "base/err.h"
#include "http/request.h"
#include "http/response.h"

int64_t sessions_retry_ms(const struct sessions *sessions)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = 0;
    return (int64_t)(random % (uint64_t)(sessions->retry_spread_ms + 1));
}

void sessions_refuse(struct request *request, int err)
{
    response_add_field(request_response(request), "Retry-After", "5");
    request_problem(request, (enum err)err, NULL, "Try again later.");
}
