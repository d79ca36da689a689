using TokenMill.Serving.Commands;
using TokenMill.Shared.CommandLine;

using var interrupt = new InterruptSignal();
Command[] commands =
[
    ServeCommand.Command,
    ChatCommand.Create(interrupt),
    RenderCommand.Command,
    TokenizeCommand.Command,
    LogitsCommand.Command,
    QuantizeCommand.Command,
    BenchServeCommand.Command,
    ProbeCpuCommand.Command,
];
return await CommandLineHost.RunAsync("Serving", commands, args, interrupt.Token);
