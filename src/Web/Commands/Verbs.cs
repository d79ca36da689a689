using TokenMill.Shared.CommandLine;

namespace TokenMill.Web.Commands;

/// <summary>The verbs of the command line that Web hosts. They start without the web host, within a second.</summary>
public static class Verbs
{
    public static IReadOnlyList<Command> All { get; } = [InspectCommand.Command, ScoreCommand.Command, ValidateCommand.Command];
}
