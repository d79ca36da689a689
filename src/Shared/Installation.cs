namespace TokenMill.Shared;

/// <summary>
/// Where the parts of an installation lie. Built from a checkout, programs are in <c>.build/bin/NAME/release</c>;
/// in a container, in <c>/app/NAME</c>. Environment variables override each place.
/// </summary>
public static class Installation
{
    /// <summary>Root of the checkout or of the installation: <c>TOKENMILL_HOME</c>, else the nearest folder above that has models/starter.</summary>
    public static string Home { get; } = Environment.GetEnvironmentVariable("TOKENMILL_HOME") ?? FindHome();

    /// <summary>Native libraries that set-up fetched or built: <c>TOKENMILL_NATIVE</c>, else <c>.native</c> in the home.</summary>
    public static string Native { get; } = Environment.GetEnvironmentVariable("TOKENMILL_NATIVE") ?? Path.Combine(Home, ".native");

    /// <summary>What can be made again, of this user: <c>$XDG_CACHE_HOME/tokenmill</c>, by default below ~/.cache.</summary>
    public static string Cache
    {
        get
        {
            if (Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } chosen) return Path.Combine(chosen, "tokenmill");
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            return Path.Combine(home.Length > 0 ? home : Path.GetTempPath(), ".cache", "tokenmill");
        }
    }

    /// <summary>llama.cpp's shared libraries (libllama, libggml, CPU plugins).</summary>
    public static string Llama => Path.Combine(Native, "llama");

    /// <summary>The built-in model, so that everything works offline at once.</summary>
    public static string StarterModel => Path.Combine(Home, "models", "starter", "starter.gguf");

    /// <summary>The data of the demo.</summary>
    public static string SampleDataset => Path.Combine(Home, "samples", "support.jsonl");

    /// <summary>The assembly of a sibling program: <c>Training</c> or <c>Serving</c>; started as <c>dotnet PATH</c>.</summary>
    public static string Program(string name)
    {
        var own = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar);
        var leaf = Path.GetFileName(own);                       // release, debug, or the program's own folder in a container
        string[] candidates =
        [
            Path.Combine(own, "..", "..", name, leaf, $"TokenMill.{name}.dll"),
            Path.Combine(own, "..", name.ToLowerInvariant(), $"TokenMill.{name}.dll"),
            Path.Combine(Home, ".build", "bin", name, "release", $"TokenMill.{name}.dll"),
        ];
        return Path.GetFullPath(candidates.FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"TokenMill.{name}.dll is not beside this program; build the solution first", candidates[0]));
    }

    private static string FindHome()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (Directory.Exists(Path.Combine(folder.FullName, "models", "starter"))) return folder.FullName;
        return Directory.GetCurrentDirectory();
    }
}
