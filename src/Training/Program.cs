using TokenMill.Shared.CommandLine;
using TokenMill.Training.Tokenizer;

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    interrupted.Cancel();
};

return await CommandLineHost.RunAsync("Training", [TokenizerCommand.Command], args, interrupted.Token);
