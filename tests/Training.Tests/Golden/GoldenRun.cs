using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Data;
using TokenMill.Training.Loop;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Golden;

/// <summary>A run over given batches through the trainer's own packing, model, head, optimizer and schedule.</summary>
internal sealed class GoldenRun : IDisposable
{
    private readonly AdamW _optimizer;
    private readonly TrainingStep _step;
    private readonly LearningRateSchedule _schedule;
    private int _done;

    public GoldenRun(string modelPath, TensorType type, OptimizerSpec optimizer, ScheduleSpec schedule, double clip, int steps, Func<CausalModel, LoraAdapter>? adapter)
    {
        Model = ModelLoading.Load(modelPath, adapter is null ? ModelUse.AllWeights(type) : ModelUse.Adapters(type));
        Adapter = adapter?.Invoke(Model);
        _optimizer = new AdamW(Adapter?.Parameters() ?? Model.Parameters(), optimizer);
        _step = new TrainingStep(Model, _optimizer, clip, default);
        _schedule = new LearningRateSchedule(schedule, optimizer.LearningRate!.Value, steps);
    }

    public CausalModel Model { get; }
    public LoraAdapter? Adapter { get; }

    public TrainingStep.Outcome Step(params IReadOnlyList<EncodedExample>[] microBatches) => Step(new SupervisedObjective(), microBatches);

    public TrainingStep.Outcome Step(IObjective objective, params IReadOnlyList<EncodedExample>[] microBatches)
    {
        var outcome = _step.Compute([.. microBatches.Select(batch => Packing.Pack(batch, 4096, packing: true))], objective, 0, CancellationToken.None);
        _step.Apply(outcome, LearningRate = _schedule.At(_done++));
        return outcome;
    }

    public double LearningRate { get; private set; }

    /// <summary>Rows of a right-padded batch as examples.</summary>
    public static IReadOnlyList<EncodedExample> Unpad(JsonNode batch)
    {
        var (ids, mask, labels) = (batch["input_ids"]!.AsArray(), batch["attention_mask"]!.AsArray(), batch["labels"]!.AsArray());
        return [.. ids.Select((row, i) =>
        {
            var length = mask[i].Ints().Sum();
            return new EncodedExample(row.Ints()[..length], labels[i].Ints()[..length]);
        })];
    }

    /// <summary>The reference names its weights otherwise than PEFT: a folder with PEFT's names.</summary>
    public static string PeftFolder(string folder, string weights)
    {
        var made = Directory.CreateTempSubdirectory("peft").FullName;
        File.Copy(Path.Combine(folder, "adapter_config.json"), Path.Combine(made, "adapter_config.json"));
        File.Copy(Path.Combine(folder, weights), Path.Combine(made, "adapter_model.safetensors"));
        return made;
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        Adapter?.Dispose();
        Model.Dispose();
    }
}
