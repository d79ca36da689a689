using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Web.Components.Code;

public enum CodeLanguage { Curl, CSharp, Python }

/// <summary>Sampling as the request states it.</summary>
public sealed record SamplingParameters(double Temperature, double TopP, int MaxTokens, long? Seed);

/// <summary>A streaming chat request as a program of some language. The key stays in the environment.</summary>
public sealed record RequestSnippet(string BaseUrl, string Model, JsonArray Messages, SamplingParameters? Sampling)
{
    // Shown as text and copied into a terminal: apostrophes are the only characters a shell's quotes mind.
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string NameOf(CodeLanguage language) => language switch { CodeLanguage.CSharp => "C#", CodeLanguage.Python => "Python", _ => "curl" };

    public string In(CodeLanguage language) => language switch
    {
        CodeLanguage.CSharp => CSharp(),
        CodeLanguage.Python => Python(),
        _ => Curl(),
    };

    private string Curl()
    {
        var body = new JsonObject { ["model"] = Model, ["messages"] = Messages.DeepClone(), ["stream"] = true };
        if (Sampling is { } s)
        {
            (body["temperature"], body["top_p"], body["max_tokens"]) = (s.Temperature, s.TopP, s.MaxTokens);
            if (s.Seed is not null) body["seed"] = s.Seed;
        }
        return $"""
            curl {BaseUrl}/chat/completions \
              -H "Authorization: Bearer $TOKENMILL_API_KEY" \
              -H "Content-Type: application/json" \
              -d '{body.ToJsonString(Readable).Replace("'", @"'\''", StringComparison.Ordinal)}'
            """;
    }

    private string CSharp()
    {
        var messages = string.Join("\n", Messages.Select(m => $"    new {char.ToUpperInvariant(Role(m)[0])}{Role(m)[1..]}ChatMessage({Quoted(Content(m))}),"));
        var options = Sampling is not { } s ? "" : string.Create(CultureInfo.InvariantCulture,
            $", new ChatCompletionOptions {{ Temperature = {s.Temperature}f, TopP = {s.TopP}f, MaxOutputTokenCount = {s.MaxTokens}{(s.Seed is { } seed ? $", Seed = {seed}" : "")} }}");
        return $$"""
            using System.ClientModel;
            using OpenAI;
            using OpenAI.Chat;

            var client = new ChatClient({{Quoted(Model)}},
                new ApiKeyCredential(Environment.GetEnvironmentVariable("TOKENMILL_API_KEY")!),
                new OpenAIClientOptions { Endpoint = new Uri({{Quoted(BaseUrl)}}) });

            ChatMessage[] messages =
            [
            {{messages}}
            ];
            await foreach (var update in client.CompleteChatStreamingAsync(messages{{options}}))
                foreach (var part in update.ContentUpdate) Console.Write(part.Text);
            """;
    }

    private string Python()
    {
        var options = Sampling is not { } s ? "" : string.Create(CultureInfo.InvariantCulture,
            $"\n    temperature={s.Temperature}, top_p={s.TopP}, max_tokens={s.MaxTokens},{(s.Seed is { } seed ? $" seed={seed}," : "")}");
        return $$"""
            import os
            from openai import OpenAI

            client = OpenAI(base_url={{Quoted(BaseUrl)}}, api_key=os.environ["TOKENMILL_API_KEY"])
            stream = client.chat.completions.create(
                model={{Quoted(Model)}},
                messages={{Messages.ToJsonString(Readable).Replace("\n", "\n    ", StringComparison.Ordinal)}},{{options}}
                stream=True,
            )
            for chunk in stream:
                if chunk.choices:
                    print(chunk.choices[0].delta.content or "", end="", flush=True)
            """;
    }

    private static string Role(JsonNode? message) => message!["role"]!.GetValue<string>();

    private static string Content(JsonNode? message) => message!["content"]!.GetValue<string>();

    /// <summary>A JSON string is a literal of C# and Python too.</summary>
    private static string Quoted(string text) => JsonSerializer.Serialize(text, Readable);
}
