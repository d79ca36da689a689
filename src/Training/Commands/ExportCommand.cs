using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;
using TokenMill.Training.Export;
using TokenMill.Training.Import;

namespace TokenMill.Training.Commands;

/// <summary><c>export</c>: a model, with its adapter folded in or the adapter alone, in the form another program wants.</summary>
internal static class ExportCommand
{
    public static Command Command { get; } = new("export", "export MODEL [--adapter DIR] --format gguf|hf|peft|gguf-lora [--type F16] --out PATH", RunAsync);

    private static Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var adapterPath = arguments.Option("--adapter");
        var format = arguments.Required("--format");
        var typeName = arguments.Option("--type");
        var output = arguments.Required("--out");
        var modelPath = arguments.Positional("MODEL");
        arguments.End();
        if (format is not ("gguf" or "hf" or "peft" or "gguf-lora")) throw new UsageException($"--format is gguf, hf, peft or gguf-lora, not '{format}'");
        if (format is "peft" or "gguf-lora" && adapterPath is null) throw new UsageException($"--format {format} needs --adapter");
        if (!File.Exists(modelPath) && !Directory.Exists(modelPath)) throw new RefusedException("model-not-found", $"{modelPath} does not exist", "give the path of a GGUF file or of a Hugging Face folder");
        if (SamePath(modelPath, output) || adapterPath is not null && SamePath(adapterPath, output))
            throw new RefusedException("output-is-input", $"{output} would be overwritten while it is read", "choose another --out");

        using var model = GgufFile.Open(ImportedModel.PathOf(modelPath, cancellationToken));
        GgufModel.Check(model);
        var adapter = adapterPath is null ? null : AdapterWeights.Load(adapterPath, model);
        cancellationToken.ThrowIfCancellationRequested();
        switch (format)
        {
            case "gguf" when typeName is not null && LlamaQuantization.Knows(typeName) && !IsWrittenHere(typeName): GgufModelFile.WriteQuantized(output, model, ModelTensors.Merge(model, adapter), typeName); break;
            case "gguf": GgufModelFile.Write(output, model, ModelTensors.Merge(model, adapter), ParseType(typeName ?? "F16")); break;
            case "hf": HuggingFaceModel.Write(output, model, ModelTensors.Merge(model, adapter), ParseType(typeName ?? "BF16")); break;
            case "peft": PeftFolder.Write(output, adapter!, model); break;
            case "gguf-lora": GgufAdapterFile.Write(output, adapter!, model); break;
        }
        if (format == "gguf") OllamaModelfile.Write(output);
        if (format is "gguf" or "gguf-lora" && UnservedWindow.Of(model.Metadata) is { } window) Console.Error.WriteLine($"warning: {window.Warning.Code}: {window.Warning.Message}");
        Console.Out.WriteLine(output);
        return Task.FromResult(CommandLineHost.Done);
    }

    private static GgufType ParseType(string name) =>
        Enum.GetValues<GgufType>().Cast<GgufType?>().FirstOrDefault(t => string.Equals($"{t}", name, StringComparison.OrdinalIgnoreCase))
        ?? throw new UsageException($"--type '{name}' is not known; take F32, F16, BF16 or, for gguf, {string.Join(", ", LlamaQuantization.Types)}");

    private static bool IsWrittenHere(string typeName) => Enum.TryParse<GgufType>(typeName, ignoreCase: true, out var type) && GgufModelFile.CanWrite(type);

    private static bool SamePath(string a, string b) => Path.GetFullPath(a) == Path.GetFullPath(b);
}
