using TokenMill.Shared;

namespace TokenMill.Web.Nodes;

/// <summary>
/// What to start.
/// Secrets go into <see cref="Environment"/>: arguments are visible to every user of the machine.
/// </summary>
public sealed record ChildProgram(string FileName, IReadOnlyList<string> Arguments)
{
    public Priority Priority { get; init; } = Priority.Normal;
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>A program of the platform, Training or Serving. Throws <see cref="FileNotFoundException"/> when it was not built.</summary>
    public static ChildProgram Sibling(string name, params IEnumerable<string> arguments) => new(DotNet(), [Installation.Program(name), .. arguments]);

    private static string DotNet()
    {
        var own = System.Environment.ProcessPath;
        return own is not null && Path.GetFileNameWithoutExtension(own) == "dotnet" ? own : System.Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
    }
}
