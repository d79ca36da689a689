using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.Commands;

/// <summary>
/// <c>chat</c>: a conversation in the terminal, with a model file or with any OpenAI-compatible server. Ctrl-C stops an answer,
/// and between answers the chat; so does the end of input.
/// </summary>
internal static class ChatCommand
{
    public static Command Create(InterruptSignal interrupt) => new("chat",
        "chat MODEL|URL [--adapter FILE] [--model NAME] [--system TEXT] [--temperature 0.7] [--max-tokens N] [--api-key K] [--threads N]",
        (arguments, cancellationToken) => RunAsync(arguments, interrupt, cancellationToken));

    private static async Task<int> RunAsync(Arguments arguments, InterruptSignal interrupt, CancellationToken cancellationToken)
    {
        var adapter = arguments.Option("--adapter");
        var model = arguments.Option("--model");
        var system = arguments.Option("--system");
        var temperature = Number(arguments, "--temperature") ?? 0.7;
        var maxTokens = arguments.Int("--max-tokens");
        var apiKey = arguments.Option("--api-key") ?? Environment.GetEnvironmentVariable("OPENAI_API_KEY");
        var threads = arguments.Int("--threads");
        var target = arguments.Positional("MODEL|URL");
        arguments.End();

        var isUrl = Uri.TryCreate(target, UriKind.Absolute, out var url) && url.Scheme is "http" or "https";
        if (isUrl && (adapter ?? threads?.ToString()) is not null) throw new UsageException("--adapter and --threads belong to a model file, not to a server");
        await using var chat = isUrl ? new ChatClient(url!, model, apiKey) : await ChatClient.StartAsync(await ModelPath.ResolveAsync(target, cancellationToken), adapter, threads, cancellationToken);
        await new Conversation(chat, interrupt, system, temperature, maxTokens).RunAsync(cancellationToken);
        return CommandLineHost.Done;
    }

    private static double? Number(Arguments arguments, string name) =>
        arguments.Option(name) is not { } text ? null
        : double.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out var value) ? value
        : throw new UsageException($"{name} is a number, not '{text}'");

    /// <summary>Reads a line, streams the answer, remembers both.</summary>
    private sealed class Conversation(ChatClient chat, InterruptSignal interrupt, string? system, double temperature, int? maxTokens)
    {
        private readonly JsonArray _messages = system is null ? [] : [Message("system", system)];
        private CancellationTokenSource? _answering;

        public async Task RunAsync(CancellationToken cancellationToken)
        {
            interrupt.Intercept = StopAnswer;
            var isTerminal = !Console.IsInputRedirected;
            if (isTerminal) Console.Error.WriteLine("Type a message; an empty line or Ctrl-D ends the chat, Ctrl-C stops an answer.");
            while (!cancellationToken.IsCancellationRequested)
            {
                if (isTerminal) Console.Error.Write("> ");
                var line = await Task.Run(Console.In.ReadLine, cancellationToken).WaitAsync(cancellationToken);
                if (string.IsNullOrWhiteSpace(line)) break;
                _messages.Add(Message("user", line));
                _messages.Add(Message("assistant", await AnswerAsync(cancellationToken)));
            }
            interrupt.Intercept = null;
        }

        private async Task<string> AnswerAsync(CancellationToken cancellationToken)
        {
            var text = new StringBuilder();
            using (_answering = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
            {
                try
                {
                    var request = new ChatCompletionRequest { Messages = (JsonArray)_messages.DeepClone(), Stream = true, Temperature = temperature, MaxTokens = maxTokens };
                    var wasReasoning = false;
                    await foreach (var (part, isReasoning) in chat.StreamAsync(request, _answering.Token))
                    {
                        if (wasReasoning && !isReasoning) await Console.Error.WriteLineAsync();
                        wasReasoning = isReasoning;
                        if (isReasoning)
                        {
                            await Console.Error.WriteAsync(Dimmed(part));
                            continue;
                        }
                        text.Append(part);
                        await Console.Out.WriteAsync(part);
                        await Console.Out.FlushAsync(CancellationToken.None);
                    }
                }
                catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
                {
                    await Console.Error.WriteAsync(" [stopped]");
                }
            }
            _answering = null;
            await Console.Out.WriteLineAsync();
            return text.ToString();
        }

        /// <summary>Reasoning is no part of the answer, so it goes where notes go; a terminal shows it faint.</summary>
        private static string Dimmed(string text) => Console.IsErrorRedirected ? text : $"\e[2m{text}\e[22m";

        private bool StopAnswer()
        {
            if (_answering is not { } answering) return false;
            answering.Cancel();
            return true;
        }

        private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
    }
}
