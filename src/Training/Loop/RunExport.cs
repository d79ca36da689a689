using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Export;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;

namespace TokenMill.Training.Loop;

/// <summary>
/// What a finished run leaves in its output folder: adapter/ (PEFT), adapter.gguf and model.gguf (weights with the adapter
/// folded in, or all weights as trained, F16) with its Modelfile.
/// </summary>
internal sealed class RunExport(FineTuneSpec spec, ModelSource source, CausalModel model, LoraAdapter? adapter, string folder, CancellationToken cancellationToken)
{
    public IEnumerable<TrainerEvent> Write()
    {
        var kinds = spec.Export ?? (adapter is null ? ["merged"] : GgufAdapterFile.CanHold(adapter.Config, out _) ? ["peft", "gguf-lora"] : ["peft", "merged"]);
        if (kinds.Count == 0) yield break;
        using var file = GgufFile.Open(source.TokenizerPath);
        var weights = adapter is null ? null : AdapterWeights.Of(adapter, model, file.Metadata.TryString("general.name"));
        if (kinds.Any(kind => kind != "peft") && UnservedWindow.Of(file.Metadata) is { } window) yield return new WarningEvent(window.Warning.Code, window.Warning.Message);
        foreach (var kind in kinds)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var path = Path.GetFullPath(Path.Combine(folder, kind switch { "peft" => "adapter", "gguf-lora" => "adapter.gguf", _ => "model.gguf" }));
            switch (kind)
            {
                case "peft": PeftFolder.Write(path, weights!, file); break;
                case "gguf-lora": GgufAdapterFile.Write(path, weights!, file); break;
                default:
                    WriteModel(path, file, weights);
                    OllamaModelfile.Write(path);
                    break;
            }
            yield return new ExportEvent(kind, path);
        }
    }

    private void WriteModel(string path, GgufFile file, AdapterWeights? weights)
    {
        if (source.IsRandom) GgufModelFile.WriteNew(path, model.Config, file.Metadata, source.Name, source.Licence, Stoppable(ModelTensors.Create(model.Config, model.Weights())), GgufType.F16);
        else GgufModelFile.Write(path, file, Stoppable(weights is null ? ModelTensors.Replace(file, model.Weights()) : ModelTensors.Merge(file, weights)), GgufType.F16);
    }

    /// <summary>A stop is heeded between two pieces of a tensor; what is half written vanishes.</summary>
    private IReadOnlyList<ModelTensor> Stoppable(IReadOnlyList<ModelTensor> tensors) => [.. tensors.Select(tensor => tensor with
    {
        ForEachPiece = sink => tensor.ForEachPiece(piece =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            sink(piece);
        }),
        Stored = tensor.Stored is not { } stored ? null : (stored.Type, stream =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            stored.Copy(stream);
        }),
    })];
}
