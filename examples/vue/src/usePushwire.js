import { onScopeDispose, ref, shallowRef } from 'vue';
import { connect } from 'pushwire';

/** What comes for a user, newest first, for as long as the component lives. */
export function usePushwire(options) {
  const messages = shallowRef([]);
  const client = connect(options);
  const state = ref(client.state);
  client.on('state', now => (state.value = now));
  client.on('message', message => (messages.value = [message, ...messages.value]));
  onScopeDispose(() => client.close());
  return { messages, state, send: (...call) => client.send(...call) };
}
