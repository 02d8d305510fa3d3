package sample;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.eclipsesource.json.Json;
import com.eclipsesource.json.JsonObject;
import org.junit.jupiter.api.Test;

class GreetingTest {
    @Test
    void namesThePathEvenWithQuotesInIt() {
        JsonObject answer = Json.parse(Greeting.json("/a\"b")).asObject();
        assertEquals("Hello from Slipway", answer.getString("greeting", null));
        assertEquals("/a\"b", answer.getString("path", null));
    }
}
