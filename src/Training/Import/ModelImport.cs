using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Export;

namespace TokenMill.Training.Import;

/// <summary>
/// Makes one checked GGUF file of what people have: a Hugging Face folder is converted, a GGUF file copied, or written in
/// another type. The file appears whole, after it has passed the check that everything else relies on.
/// </summary>
public static class ModelImport
{
    /// <param name="type">Of the matrices; null: as they are stored.</param>
    /// <returns>What was given up on the way.</returns>
    /// <exception cref="RefusedException">What is imported is broken, hostile or not supported.</exception>
    public static IReadOnlyList<ModelFinding> Run(string path, string output, GgufType? type, CancellationToken cancellationToken)
    {
        if (!File.Exists(path) && !Directory.Exists(path)) throw new RefusedException("model-not-found", $"{path} does not exist", "give the path of a GGUF file or of a Hugging Face folder");
        var full = Path.GetFullPath(output);
        if (full == Path.GetFullPath(path)) throw new RefusedException("output-is-input", $"{output} would be overwritten while it is read", "choose another path");
        if (Directory.Exists(full)) throw new RefusedException("output-is-folder", $"{output} is a folder", "give the path of the GGUF file to write");
        var temporary = $"{full}.{Guid.NewGuid():N}.tmp";
        try
        {
            List<ModelFinding> warnings = [.. Directory.Exists(path) ? FromFolder(path, temporary, type, cancellationToken) : FromGguf(path, temporary, type, cancellationToken)];
            if (Check(temporary) is { } window) warnings.Add(window.Warning);
            File.Move(temporary, full, overwrite: true);
            return warnings;
        }
        finally
        {
            if (File.Exists(temporary)) File.Delete(temporary);
        }
    }

    private static UnservedWindow? Check(string path)
    {
        using var file = GgufFile.Open(path);
        if (GgufModel.Check(file).Servable is { Yes: false } servable) throw new RefusedException("model-not-servable", servable.Why, "choose a dense text model of a supported family");
        const string template = "tokenizer.chat_template";
        if (file.Metadata.TryString(template) is { Length: > 0 } source && ChatTemplateCheck.Check(source) is { } error) throw new RefusedException(error with { Field = template });
        return UnservedWindow.Of(file.Metadata);
    }

    private static IReadOnlyList<ModelFinding> FromFolder(string path, string output, GgufType? type, CancellationToken cancellationToken)
    {
        using var folder = HuggingFaceFolder.Open(path);
        var writer = new GgufWriter();
        var warnings = FolderConversion.WriteMetadata(folder, writer);
        GgufModelFile.WriteNew(output, writer, FolderTensors.Of(folder, cancellationToken), type);
        return warnings;
    }

    private static IReadOnlyList<ModelFinding> FromGguf(string path, string output, GgufType? type, CancellationToken cancellationToken)
    {
        using var file = GgufFile.Open(path);
        if (GgufAdapter.IsAdapter(file)) throw new RefusedException("model-is-adapter", $"{path} is an adapter, not a model", "give it with its base: export MODEL --adapter ADAPTER");
        var model = GgufModel.Check(file);
        cancellationToken.ThrowIfCancellationRequested();
        if (type is { } target) GgufModelFile.Write(output, file, ModelTensors.Merge(file, null), target);
        else AtomicFile.Write(output, stream =>
        {
            using var original = File.OpenRead(path);
            original.CopyTo(stream);
        });
        return model.Warnings;
    }
}
