using TokenMill.Serving.Host;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Commands;

/// <summary><c>serve</c>: an OpenAI-compatible server for one model.</summary>
internal static class ServeCommand
{
    public static Command Command { get; } = new("serve",
        "serve MODEL [--adapter NAME=PATH …] [--max-adapters N] [--host 127.0.0.1] [--port 8080] [--context N] [--parallel N] [--queue N] [--threads N] [--type auto] [--kv-type f16|q8_0|q4_0] [--lookup TOKENS] [--gap-ms 400] [--draft MODEL] [--api-key K] [--parent-pipe]",
        async (arguments, cancellationToken) =>
        {
            var options = ServeOptions.Parse(arguments);
            options = options with { ModelPath = await ModelPath.ResolveAsync(options.ModelPath, cancellationToken) };
            if (options.DraftPath is { } draft) options = options with { DraftPath = await ModelPath.ResolveAsync(draft, cancellationToken) };
            await new ServeProcess(options, new StartReport()).RunAsync(cancellationToken);
            return CommandLineHost.Done;
        });
}
