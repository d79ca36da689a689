using System.Diagnostics;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Llama;

/// <summary>What can be said about a model's path before anything is read.</summary>
public static class ModelPath
{
    /// <exception cref="RefusedException">model-not-found, model-is-folder.</exception>
    public static void Require(string path)
    {
        if (File.Exists(path)) return;
        throw Directory.Exists(path)
            ? new RefusedException("model-is-folder", $"{path} is a folder; llama.cpp reads GGUF files", "make a GGUF file of it: ./run import FOLDER MODEL.gguf")
            : new RefusedException("model-not-found", $"{path} does not exist", "give the path of a GGUF file");
    }

    /// <summary>The file itself; for a Hugging Face folder the GGUF file that the trainer's import keeps of it.</summary>
    /// <exception cref="RefusedException">The folder cannot be imported.</exception>
    public static async Task<string> ResolveAsync(string path, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(path)) return path;
        using var import = Process.Start(new ProcessStartInfo("dotnet", [Installation.Program("Training"), "import", path]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        await using var stopped = cancellationToken.Register(() => import.Kill(entireProcessTree: true));
        var errors = import.StandardError.ReadToEndAsync(cancellationToken);
        var file = (await import.StandardOutput.ReadToEndAsync(cancellationToken)).Trim();
        await import.WaitForExitAsync(cancellationToken);
        if (import.ExitCode == 0) return file;
        // error: CODE: message; what to do
        var said = (await errors).Trim().Split(": ", 3);
        throw said is ["error", var code, var what] ? new RefusedException(code, what, "") : new RefusedException("import-failed", $"{path} was not imported: {string.Join(": ", said)}", "try ./run import");
    }
}
