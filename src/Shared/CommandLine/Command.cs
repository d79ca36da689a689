using TokenMill.Shared.Domain;

namespace TokenMill.Shared.CommandLine;

/// <summary>A verb of the command line: its usage line and what it does. Results go to stdout, everything else to stderr.</summary>
public sealed record Command(string Name, string Usage, Func<Arguments, CancellationToken, Task<int>> Run);

/// <summary>
/// Runs one verb and turns every outcome into an exit code:
/// 0 done, 1 refused input or failed job (one line on stderr), 2 wrong usage, 130 interrupted.
/// </summary>
public static class CommandLineHost
{
    public const int Done = 0, Refused = 1, WrongUsage = 2, Interrupted = 130;

    public static async Task<int> RunAsync(string program, IReadOnlyList<Command> commands, string[] args, CancellationToken cancellationToken)
    {
        if (args.Length == 0 || args[0] is "--help" or "-h" or "help")
        {
            (args.Length == 0 ? Console.Error : Console.Out).WriteLine(Help(program, commands));
            return args.Length == 0 ? WrongUsage : Done;
        }
        var command = commands.FirstOrDefault(c => c.Name == args[0]);
        if (command is null)
        {
            Console.Error.WriteLine($"error: unknown-command: '{args[0]}' is no command of {program}; see --help");
            return WrongUsage;
        }
        if (args.Skip(1).Any(a => a is "--help" or "-h"))
        {
            Console.Out.WriteLine($"usage: {command.Usage}");
            return Done;
        }
        try
        {
            return await command.Run(new Arguments(args.Skip(1)), cancellationToken);
        }
        catch (UsageException e)
        {
            Console.Error.WriteLine($"error: wrong-usage: {e.Message}; usage: {command.Usage}");
            return WrongUsage;
        }
        catch (RefusedException e)
        {
            Console.Error.WriteLine($"error: {OneLine(e.Error.ToString())}");
            return Refused;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Interrupted;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"error: file-error: {OneLine(e.Message)}; check the path, its rights and the free space");
            return Refused;
        }
    }

    private static string Help(string program, IReadOnlyList<Command> commands) =>
        $"{program}:\n" + string.Join('\n', commands.Select(c => "  " + c.Usage));

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
