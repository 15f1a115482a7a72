/* translator_entry.c - who may come in: not after fork, not while the translator closes; close waits for those inside. */
#include "runtime/translator_state.h"

#include <unistd.h>

hdl_status hdl__check_process(pid_t pid, const char *call)
{
    if (pid == getpid()) return HDL_OK;
    return hdl__fail(HDL_ESTATE, "%s: the translator was made before fork(); the child may not use it", call);
}

hdl_status hdl__translator_enter(hdl_translator *translator, const char *call)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__check_process(translator->pid, call));
    pthread_mutex_lock(&translator->hub->mutex);
    const bool closing = translator->closing;
    if (!closing) {
        translator->n_inside++;
        atomic_fetch_add(&translator->hub->refs, 1);
    }
    pthread_mutex_unlock(&translator->hub->mutex);
    HDL_CHECK(!closing, HDL_ESTATE, "%s: the translator is closing", call);
done:
    return status;
}

/* The hub outlives the translator for this thread, whose unlocking may come after the end of close. */
void hdl__translator_leave(hdl_translator *translator)
{
    hdl__ticket_hub *hub = translator->hub;
    pthread_mutex_lock(&hub->mutex);
    if (--translator->n_inside == 0) pthread_cond_broadcast(&translator->room);
    pthread_mutex_unlock(&hub->mutex);
    hdl__hub_unref(hub);
}
