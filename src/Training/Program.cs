using TokenMill.Shared.CommandLine;
using TokenMill.Training.Commands;
using TokenMill.Training.Tokenizer;

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    interrupted.Cancel();
};

Command[] commands =
[
    ExportCommand.Command,
    ImportCommand.Command,
    LogitsCommand.Command,
    ProbeCommand.Command,
    TrainCommand.Command,
    TokenizerCommand.Command,
];
return await CommandLineHost.RunAsync("Training", commands, args, interrupted.Token);
