using System.Diagnostics;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.HuggingFace;

namespace TokenMill.Serving.Host;

/// <summary>
/// libllama reads adapters as GGUF. A PEFT folder is turned into one by the trainer's own exporter, in a process of its own,
/// so that there is one place that knows the order of rows and the scale.
/// </summary>
internal sealed class AdapterConversion : IDisposable
{
    private readonly bool _isTemporary;

    private AdapterConversion(string ggufPath, bool isTemporary) => (GgufPath, _isTemporary) = (ggufPath, isTemporary);

    /// <summary>The adapter as GGUF; a converted one is deleted again when this is disposed.</summary>
    public string GgufPath { get; }

    /// <exception cref="RefusedException">The adapter is not there, broken, or not for this model.</exception>
    public static AdapterConversion Of(string adapterPath, string modelPath)
    {
        if (File.Exists(adapterPath)) return new AdapterConversion(adapterPath, isTemporary: false);
        if (!Directory.Exists(adapterPath)) throw new RefusedException("adapter-not-found", $"{adapterPath} does not exist", "give a GGUF adapter or a PEFT folder");
        PeftAdapter.Open(adapterPath).Dispose();               // its errors are better than an exit code
        var target = Path.Combine(Path.GetTempPath(), $"tokenmill-adapter-{Guid.NewGuid():N}.gguf");
        Export(adapterPath, modelPath, target);
        return new AdapterConversion(target, isTemporary: true);
    }

    public void Dispose()
    {
        if (_isTemporary) File.Delete(GgufPath);
    }

    private static void Export(string adapterPath, string modelPath, string target)
    {
        using var export = Process.Start(new ProcessStartInfo("dotnet",
            [Installation.Program("Training"), "export", modelPath, "--adapter", adapterPath, "--format", "gguf-lora", "--out", target])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        export.OutputDataReceived += (_, _) => { };            // read, so that it never waits for us
        export.BeginOutputReadLine();
        var errors = export.StandardError.ReadToEnd();
        export.WaitForExit();
        if (export.ExitCode == 0) return;
        File.Delete(target);
        var why = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? $"the exporter ended with {export.ExitCode}";
        throw new RefusedException("adapter-not-converted", $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(adapterPath))} cannot be used with this model: {why.Replace("error: ", "", StringComparison.Ordinal)}", "choose the base that the adapter was made for");
    }
}
