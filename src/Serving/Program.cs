using TokenMill.Serving.Commands;
using TokenMill.Shared.CommandLine;

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    interrupted.Cancel();
};

return await CommandLineHost.RunAsync("Serving", [RenderCommand.Command, TokenizeCommand.Command], args, interrupted.Token);
