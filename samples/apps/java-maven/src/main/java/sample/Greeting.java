package sample;

import com.eclipsesource.json.Json;

/** What the server answers, apart from HTTP so that it can be tested without a port. */
final class Greeting {
    private Greeting() {}

    static String json(String path) {
        return Json.object()
                .add("greeting", "Hello from Slipway")
                .add("path", path)
                .add("java", Runtime.version().feature())
                .toString();
    }
}
