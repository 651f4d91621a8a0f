// Connects to the address given and prints the first message it receives, by the WebSocket client
// that Java brings with it.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

public class Listen implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();
    private final CompletableFuture<String> message = new CompletableFuture<>();

    @Override
    public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
        text.append(data);
        if (last) {
            if (text.indexOf("\"type\":\"message\"") >= 0)
                message.complete(text.toString());
            text.setLength(0);
        }
        socket.request(1);
        return null;
    }

    @Override
    public void onError(WebSocket socket, Throwable error) {
        message.completeExceptionally(error);
    }

    public static void main(String[] args) throws Exception {
        Listen listener = new Listen();
        WebSocket socket = HttpClient.newHttpClient().newWebSocketBuilder()
            .subprotocols("pushwire.v1.json")
            .buildAsync(URI.create(args[0]), listener).get(10, TimeUnit.SECONDS);
        System.out.println(listener.message.get(10, TimeUnit.SECONDS));
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(10, TimeUnit.SECONDS);
    }
}
