using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Export;
using TokenMill.Training.Lora;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>Looks at every field of a specification and names all that are wrong at once.</summary>
public static class SpecCheck
{
    private const int MostExamples = 1 << 20;
    private static readonly string[] Exports = ["peft", "gguf-lora", "merged"];

    /// <exception cref="RefusedException">bad-spec, with each field.</exception>
    public static void Check(FineTuneSpec spec)
    {
        var mistakes = Mistakes(spec).ToList();
        if (mistakes.Count > 0) throw new RefusedException("bad-spec", string.Join("; ", mistakes), "correct these fields of the specification");
    }

    private static IEnumerable<string> Mistakes(FineTuneSpec spec)
    {
        if (spec.Version != 1) yield return $"version: {spec.Version} is not 1";
        foreach (var mistake in Model(spec.Model)) yield return mistake;
        if (string.IsNullOrWhiteSpace(spec.Output)) yield return "output: a folder is needed";
        if (!(spec.Beta is > 0 and <= 1000)) yield return $"beta: {spec.Beta} is not a number above 0, at most 1000";
        if (!(spec.LabelSmoothing is >= 0 and < 1)) yield return $"label_smoothing: {spec.LabelSmoothing} is not from 0 to less than 1";
        foreach (var mistake in Adapter(spec.Adapter)) yield return mistake;
        foreach (var mistake in Data(spec)) yield return mistake;
        if (spec.MaxLength is < 2) yield return $"max_length: {spec.MaxLength} is not at least 2 (tokens)";
        if (spec.BatchSize is < 1 or > 65_536) yield return $"batch_size: {spec.BatchSize} is not from 1 to 65536";
        if (spec.Accumulation is < 1 or > 65_536) yield return $"accumulation: {spec.Accumulation} is not from 1 to 65536";
        if ((long)spec.BatchSize * spec.Accumulation > MostExamples) yield return $"accumulation: {spec.Accumulation} times batch_size {spec.BatchSize} is not at most {MostExamples} examples a step";
        if (spec.Epochs is { } epochs && !(epochs > 0 && double.IsFinite(epochs))) yield return $"epochs: {epochs} is not more than 0";
        if (spec.MaxSteps is < 1) yield return $"max_steps: {spec.MaxSteps} is not at least 1";
        foreach (var mistake in Optimizer(spec.Optimizer)) yield return mistake;
        if (spec.Schedule.Name is not ("constant" or "linear" or "cosine")) yield return $"schedule.name: '{spec.Schedule.Name}' is not constant, linear or cosine";
        if (spec.Schedule.WarmupSteps is < 0) yield return $"schedule.warmup_steps: {spec.Schedule.WarmupSteps} is not 0 or more";
        if (spec.Schedule.WarmupRatio is < 0 or > 1 or double.NaN) yield return $"schedule.warmup_ratio: {spec.Schedule.WarmupRatio} is not from 0 to 1";
        if (!(spec.Clip >= 0)) yield return $"clip: {spec.Clip} is not 0 (no clipping) or more";
        if (!TorchDevice.IsName(spec.Device)) yield return $"device: '{spec.Device}' is not {TorchDevice.Names}";
        if (spec.Threads is < 1 or > 1024) yield return $"threads: {spec.Threads} is not from 1 to the number of cores";
        if (spec.Checkpoint.EverySteps is < 1) yield return $"checkpoint.every_steps: {spec.Checkpoint.EverySteps} is not at least 1";
        if (spec.Checkpoint.EverySeconds is { } seconds && !(seconds > 0)) yield return $"checkpoint.every_seconds: {seconds} is not more than 0";
        if (spec.Checkpoint.Keep < 1) yield return $"checkpoint.keep: {spec.Checkpoint.Keep} is not at least 1";
        if (spec.EvaluateEvery is < 1) yield return $"evaluate_every: {spec.EvaluateEvery} is not at least 1 (step)";
        if (spec.Samples.Any(prompt => prompt is null)) yield return "samples: null is not a prompt";
        foreach (var mistake in Stopping(spec)) yield return mistake;
        if (!(spec.NeftuneAlpha is >= 0 and <= 1000)) yield return $"neftune_alpha: {spec.NeftuneAlpha} is not from 0 to 1000";
        foreach (var kind in (spec.Export ?? []).Where(kind => !Exports.Contains(kind))) yield return $"export: '{kind}' is not {string.Join(", ", Exports)}";
        if (spec.Adapter.Type == "none" && spec.Export?.FirstOrDefault(kind => kind is "peft" or "gguf-lora") is { } lora)
            yield return $"export: there is no adapter to write as {lora} when all weights are trained; take merged";
        if (spec.Adapter.Type != "none" && spec.Export?.Contains("gguf-lora") == true && !GgufAdapterFile.CanHold(LoraAdapter.ConfigOf(spec.Adapter), out var why))
            yield return $"export: gguf-lora: {why}; take peft and merged";
    }

    private static IEnumerable<string> Model(JsonNode model)
    {
        if (model is JsonValue value && value.GetValueKind() == JsonValueKind.String)
        {
            var path = value.GetValue<string>();
            if (!File.Exists(path) && !Directory.Exists(path)) yield return $"model: {path} does not exist";
        }
        else if (model is JsonObject scratch)
        {
            if (scratch["random"] is not JsonObject) yield return "model.random: the shape of the model is needed";
            if (scratch["tokenizer"] is not JsonValue tokenizer || tokenizer.GetValueKind() != JsonValueKind.String) yield return "model.tokenizer: a path is needed";
            else if (!File.Exists(tokenizer.GetValue<string>()) && !Directory.Exists(tokenizer.GetValue<string>())) yield return $"model.tokenizer: {tokenizer.GetValue<string>()} does not exist";
            if (scratch["seed"] is { } seed && seed.GetValueKind() != JsonValueKind.Number) yield return "model.seed: a whole number";
            foreach (var (name, _) in scratch) if (name is not ("random" or "tokenizer" or "seed")) yield return $"model.{name}: unknown";
        }
        else yield return "model: a path, or an object with random and tokenizer";
    }

    private static IEnumerable<string> Adapter(AdapterSpec adapter)
    {
        if (adapter.Type is not ("lora" or "rslora" or "dora" or "qlora" or "none")) yield return $"adapter.type: '{adapter.Type}' is not lora, rslora, dora, qlora or none";
        if (adapter.Targets is { } targets && WhyNotTargets(targets) is { } mistake) yield return mistake;
        foreach (var (name, pattern) in adapter.RankPattern.Keys.Select(p => ("rank_pattern", p)).Concat(adapter.AlphaPattern.Keys.Select(p => ("alpha_pattern", p))).Concat(adapter.ModulesToSave.Select(p => ("modules_to_save", p))))
            if (!ModulePattern.IsValid(pattern)) yield return $"adapter.{name}: '{pattern}' is neither a module nor a pattern";
        foreach (var (pattern, rank) in adapter.RankPattern) if (rank is < 1 or > 4096) yield return $"adapter.rank_pattern: {pattern}: {rank} is not from 1 to 4096";
        foreach (var (pattern, alpha) in adapter.AlphaPattern) if (!(alpha > 0)) yield return $"adapter.alpha_pattern: {pattern}: {alpha} is not more than 0";
        if (adapter.ModulesToSave.Count > 0 && adapter.Type == "none") yield return "adapter.modules_to_save: everything is trained when adapter.type is none";
        if (adapter.Rank is < 1 or > 4096) yield return $"adapter.rank: {adapter.Rank} is not from 1 to 4096";
        if (!(adapter.Alpha > 0)) yield return $"adapter.alpha: {adapter.Alpha} is not more than 0";
        if (!(adapter.Dropout is >= 0 and < 1)) yield return $"adapter.dropout: {adapter.Dropout} is not from 0 to less than 1";
        if (adapter.Init is { } init && !Directory.Exists(init)) yield return $"adapter.init: the folder {init} does not exist";
        if (adapter.Init is not null && adapter.Type == "none") yield return "adapter.init: there is no adapter when all weights are trained";
    }

    private static string? WhyNotTargets(JsonNode targets)
    {
        try
        {
            LoraAdapter.Patterns(targets);
            return null;
        }
        catch (RefusedException e)
        {
            return e.Error.Message;
        }
    }

    private static IEnumerable<string> Data(FineTuneSpec spec)
    {
        if (spec.Data.Count == 0) yield return "data: at least one file is needed";
        for (var i = 0; i < spec.Data.Count; i++)
        {
            if (spec.Data[i] is not { } data)
            {
                yield return $"data[{i}]: null is not {{\"path\"}}";
                continue;
            }
            if (!File.Exists(data.Path)) yield return $"data[{i}].path: {data.Path} does not exist";
            if (data.Format != "auto" && !DatasetReader.Formats.Contains(data.Format)) yield return $"data[{i}].format: '{data.Format}' is not auto, {string.Join(", ", DatasetReader.Formats)}";
            foreach (var (role, column) in data.Map ?? new Dictionary<string, string>())
            {
                if (role is not ("user" or "assistant" or "system")) yield return $"data[{i}].map: '{role}' is not user, assistant or system";
                if (column is null) yield return $"data[{i}].map.{role}: null is not the name of a column";
            }
            if (!(data.Weight is >= 0 and <= 1000)) yield return $"data[{i}].weight: {data.Weight} is not from 0 to 1000";
        }
        if (spec.Data.All(data => data is null or { Weight: 0 })) yield return "data.weight: all are 0, at least one must be more";
        if (spec.Validation is not { } validation) yield break;
        if (validation.Path is null == validation.Fraction is null) yield return "validation: either path or fraction";
        if (validation.Path is { } path && !File.Exists(path)) yield return $"validation.path: {path} does not exist";
        if (validation.Fraction is { } fraction && !(fraction is > 0 and < 1)) yield return $"validation.fraction: {fraction} is not between 0 and 1";
    }

    private static IEnumerable<string> Stopping(FineTuneSpec spec)
    {
        if (spec.EarlyStopping is { Patience: < 1 } impatient) yield return $"early_stopping.patience: {impatient.Patience} is not at least 1 evaluation";
        if (spec.EarlyStopping is { } stopping && !(stopping.MinDelta >= 0)) yield return $"early_stopping.min_delta: {stopping.MinDelta} is negative";
        if ((spec.EarlyStopping is not null || spec.KeepBest) && (spec.Validation is null || spec.EvaluateEvery is null))
            yield return $"{(spec.KeepBest ? "keep_best" : "early_stopping")}: it needs validation and evaluate_every, which measure what is best";
    }

    private static IEnumerable<string> Optimizer(OptimizerSpec optimizer)
    {
        if (optimizer.Name is not ("adamw" or "adamw8bit")) yield return $"optimizer.name: '{optimizer.Name}' is not adamw or adamw8bit";
        if (optimizer.LearningRate is { } rate && !(rate > 0 && double.IsFinite(rate))) yield return $"optimizer.learning_rate: {rate} is not more than 0";
        if (optimizer.Betas.Count != 2 || optimizer.Betas.Any(beta => !(beta is >= 0 and < 1))) yield return $"optimizer.betas: [{string.Join(", ", optimizer.Betas)}] are not two numbers from 0 to less than 1";
        if (!(optimizer.Epsilon > 0)) yield return $"optimizer.epsilon: {optimizer.Epsilon} is not more than 0";
        if (!(optimizer.WeightDecay >= 0)) yield return $"optimizer.weight_decay: {optimizer.WeightDecay} is not 0 or more";
    }
}
