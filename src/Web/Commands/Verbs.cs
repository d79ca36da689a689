using TokenMill.Shared.CommandLine;
using TokenMill.Web.Commands.Demo;

namespace TokenMill.Web.Commands;

/// <summary>The verbs of the command line that Web hosts. They start without the web host, within a second.</summary>
public static class Verbs
{
    public static IReadOnlyList<Command> All { get; } = [DemoCommand.Command, InspectCommand.Command, ScoreCommand.Command, ValidateCommand.Command];
}
