using System.Runtime.InteropServices;
using TokenMill.Serving.Commands;
using TokenMill.Shared.CommandLine;

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    interrupted.Cancel();
};
using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
{
    context.Cancel = true;
    interrupted.Cancel();
});

Command[] commands =
[
    ServeCommand.Command,
    RenderCommand.Command,
    TokenizeCommand.Command,
    LogitsCommand.Command,
    ProbeCpuCommand.Command,
];
return await CommandLineHost.RunAsync("Serving", commands, args, interrupted.Token);
