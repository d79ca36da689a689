using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.ToolCalls;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>POST /v1/responses: text and functions. Nothing is stored, so each request brings the whole conversation.</summary>
internal static class Responses
{
    public static async Task HandleAsync(HttpContext context, ServedModel model, CancellationToken end)
    {
        var request = await context.ReadBodyAsync<ResponseRequest>();
        if (request.PreviousResponseId is not null) throw Refusals.Unsupported("previous_response_id", "send the whole conversation as input: responses are not stored");
        if (request.Conversation is not null) throw Refusals.Unsupported("conversation", "send the whole conversation as input: conversations are not stored");
        if (request.Background) throw Refusals.Unsupported("background", "wait for the answer, or stream it");
        if (request.N is > 1) throw Refusals.Unsupported("n", "send one request for each answer");
        var settings = CompletionSettings.Of(request, request.MaxOutputTokens, "max_output_tokens", model.Vocabulary.Count);
        model.AdapterOf(request.Model);
        var tools = ToolRequest.Read(request.Tools, request.ToolChoice, request.ParallelToolCalls);
        var turn = ChatTurn.Prepare(model, ResponseInput.ToMessages(request.Input, request.Instructions), tools, request.Text?["format"] as JsonObject, "text.format", request.ChatTemplateKwargs, settings);

        using var answers = new Answers(model, [turn.Prompt], request, turn.Settings, end);
        var writer = new Writer(context, answers, turn.NewReader(), request);
        if (request.Stream) await writer.StreamAsync(request.StreamOptions ?? new StreamOptions());
        else await writer.WriteAsync();
    }

    private sealed class Writer(HttpContext context, Answers answers, AnswerReader reader, ResponseRequest request)
    {
        private readonly string _id = $"resp_{Guid.NewGuid():N}";
        private readonly ResponseOutput _output = new();
        private int _reasoningTokens;

        public async Task WriteAsync()
        {
            await foreach (var _ in EventsAsync())
            {
            }
            await context.Response.WriteAsJsonAsync(Body(Status), Json.Options, context.RequestAborted);
        }

        public async Task StreamAsync(StreamOptions options)
        {
            var events = new ServerSentEvents(context);
            events.Begin();
            var number = 0;
            try
            {
                foreach (var type in new[] { "response.created", "response.in_progress" }) await SendAsync(new JsonObject { ["type"] = type, ["response"] = Body("in_progress") });
                await foreach (var e in EventsAsync()) await SendAsync(e);
                await SendAsync(new JsonObject { ["type"] = $"response.{Status}", ["response"] = Body(Status) });
            }
            catch (RefusedException e)
            {
                var failed = Body("failed");
                failed["error"] = new JsonObject { ["code"] = "server_error", ["message"] = e.Message };
                await SendAsync(new JsonObject { ["type"] = "response.failed", ["response"] = failed });
            }

            Task SendAsync(JsonObject e)
            {
                e["sequence_number"] = number++;
                if (options.ContinuousUsageStats) e["usage"] = JsonSerializer.SerializeToNode(answers.Usage, Json.Options);
                return events.SendAsync(e, e["type"]!.ToString());
            }
        }

        private async IAsyncEnumerable<JsonObject> EventsAsync()
        {
            await foreach (var (_, part) in answers.PartsAsync(context.RequestAborted))
            {
                if (reader.IsThinking) _reasoningTokens += part?.TokenCount ?? 0;
                foreach (var delta in part is { } some ? reader.Read(some.Text) : reader.Finish())
                    foreach (var e in _output.Add(delta)) yield return e;
            }
            foreach (var e in _output.Close(Status)) yield return e;
        }

        private string Status => answers.FinishReason(0) == "length" ? "incomplete" : "completed";

        private JsonObject Body(string status) => new()
        {
            ["id"] = _id,
            ["object"] = "response",
            ["created_at"] = answers.Created,
            ["status"] = status,
            ["background"] = false,
            ["error"] = null,
            ["incomplete_details"] = status == "incomplete" ? new JsonObject { ["reason"] = "max_output_tokens" } : null,
            ["instructions"] = request.Instructions,
            ["max_output_tokens"] = request.MaxOutputTokens,
            ["metadata"] = request.Metadata?.DeepClone() ?? new JsonObject(),
            ["model"] = answers.Model,
            ["output"] = _output.Items,
            ["parallel_tool_calls"] = request.ParallelToolCalls ?? true,
            ["previous_response_id"] = null,
            ["reasoning"] = new JsonObject { ["effort"] = null, ["summary"] = null },
            ["service_tier"] = answers.ServiceTier,
            ["store"] = false,
            ["temperature"] = request.Temperature ?? 1,
            ["text"] = request.Text?.DeepClone() ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
            ["tool_choice"] = request.ToolChoice?.DeepClone() ?? "auto",
            ["tools"] = request.Tools?.DeepClone() ?? new JsonArray(),
            ["top_p"] = request.TopP ?? 1,
            ["truncation"] = "disabled",
            ["usage"] = status is "completed" or "incomplete" ? UsageBody() : null,
        };

        private JsonObject UsageBody()
        {
            var usage = answers.Usage;
            return new JsonObject
            {
                ["input_tokens"] = usage.PromptTokens,
                ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.PromptTokensDetails.CachedTokens },
                ["output_tokens"] = usage.CompletionTokens,
                ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = _reasoningTokens },
                ["total_tokens"] = usage.TotalTokens,
            };
        }
    }
}
