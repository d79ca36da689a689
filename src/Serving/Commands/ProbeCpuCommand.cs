using System.Globalization;
using TokenMill.Serving.Llama;
using TokenMill.Shared.CommandLine;

namespace TokenMill.Serving.Commands;

/// <summary>The child's side of <see cref="CpuPlugin"/>: may die of an illegal instruction, which is what it is for.</summary>
internal static class ProbeCpuCommand
{
    public static Command Command { get; } = new(CpuPlugin.ChildVerb, $"{CpuPlugin.ChildVerb} score PLUGIN … | compute PLUGIN", (arguments, _) => Task.FromResult(Run(arguments)));

    private static int Run(Arguments arguments)
    {
        var what = arguments.Positional("score|compute");
        do
        {
            var plugin = arguments.Positional("PLUGIN");
            if (what == "compute") ProbeModel.Compute(plugin);
            else Console.Out.WriteLine(CpuPlugin.Score(plugin).ToString(CultureInfo.InvariantCulture));
            Console.Out.Flush();
        }
        while (arguments.HasPositional);
        arguments.End();
        return CommandLineHost.Done;
    }
}
