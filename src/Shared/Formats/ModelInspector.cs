using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;

namespace TokenMill.Shared.Formats;

/// <summary>Looks at a GGUF file, a Hugging Face folder, a safetensors file or an adapter, without native code, and judges it.</summary>
public static class ModelInspector
{
    /// <summary>A file that is refused gives an inspection with its error, not an exception.</summary>
    /// <param name="basePath">The model that an adapter belongs to: GGUF or folder.</param>
    /// <exception cref="RefusedException">There is nothing at the path.</exception>
    public static ModelInspection Inspect(string path, string? basePath = null)
    {
        var folder = Directory.Exists(path);
        if (!folder && !File.Exists(path))
            throw new RefusedException("model-not-found", $"{path} does not exist", "give the path of a GGUF file, a Hugging Face folder or an adapter");
        var kind = folder ? PeftAdapter.IsFolder(path) || basePath is not null ? "peft" : "hf"
            : Path.GetExtension(path).Equals(".safetensors", StringComparison.OrdinalIgnoreCase) ? "safetensors" : "gguf";
        try
        {
            return kind switch
            {
                "peft" => InspectPeft(path, basePath),
                "hf" => InspectFolder(path),
                "safetensors" => InspectSafetensors(path),
                _ => InspectGguf(path, basePath),
            };
        }
        catch (RefusedException e)
        {
            var refused = new Ability(false, e.Error.Message);
            var message = e.Error.Remedy.Length == 0 ? e.Error.Message : $"{e.Error.Message}; {e.Error.Remedy}";
            return new ModelInspection { Kind = kind, Trainable = refused, Servable = refused, Accepted = false, Errors = [new(e.Error.Field, e.Error.Code, message)] };
        }
    }

    private static ModelInspection InspectGguf(string path, string? basePath)
    {
        using var file = GgufFile.Open(path);
        if (GgufAdapter.IsAdapter(file)) return InspectAdapter(file, basePath);
        var model = GgufModel.Check(file);
        if (model.HasChatTemplate) CheckTemplate("tokenizer.chat_template", file.Metadata.String("tokenizer.chat_template"));
        return new ModelInspection
        {
            Kind = "gguf",
            Architecture = model.Architecture,
            Parameters = model.Parameters,
            Types = model.Types,
            ContextLength = model.ContextLength,
            Vocabulary = model.Vocabulary,
            ChatTemplate = model.HasChatTemplate,
            Licence = model.Licence,
            Trainable = model.Trainable,
            Servable = model.Servable,
            Accepted = true,
            Warnings = model.Warnings,
        };
    }

    private static ModelInspection InspectAdapter(GgufFile file, string? basePath)
    {
        using var adapter = GgufAdapter.Read(file);
        if (basePath is not null)
        {
            if (Directory.Exists(basePath))
                throw new RefusedException("adapter-base-mismatch", "a GGUF adapter belongs to a GGUF model, the base is a folder", "choose the GGUF file of the base");
            using var model = GgufFile.Open(basePath);
            GgufModel.Check(model);
            adapter.CheckFits(model);
        }
        return new ModelInspection
        {
            Kind = "gguf",
            Architecture = adapter.Architecture,
            Parameters = file.Tensors.Sum(t => t.Elements),
            Types = file.Tensors.CountBy(t => t.Type.ToString()).ToDictionary(),
            Rank = (int)adapter.Pairs.Values.Max(p => p.A.Dimensions[1]),
            Alpha = adapter.Alpha,
            Trainable = new(false, "training goes on from a PEFT folder"),
            Servable = new(true, "served together with its base"),
            Accepted = true,
            Warnings = Baseless(basePath),
        };
    }

    private static ModelInspection InspectFolder(string path)
    {
        using var folder = HuggingFaceFolder.Open(path);
        if (!string.IsNullOrEmpty(folder.ChatTemplate)) CheckTemplate("chat_template", folder.ChatTemplate);
        var (trainable, servable) = (new Ability(true, $"LoRA and full fine-tuning of {folder.Config.Family.ModelType} models"), new Ability(false, "llama.cpp serves GGUF files: import the folder"));
        var warnings = folder.Warnings;
        try
        {
            warnings = FolderConversion.WriteMetadata(folder, new GgufWriter());
        }
        catch (RefusedException e) when (e.Error.Code is "tokenizer-unsupported" or "config-unsupported")
        {
            trainable = servable = new Ability(false, $"{e.Error.Message}; {e.Error.Remedy}");
        }
        return new ModelInspection
        {
            Kind = "hf",
            Architecture = folder.Config.Family.ModelType,
            Parameters = folder.Tensors.Where(t => !(folder.Config.TiedEmbeddings && t.Name == "lm_head.weight")).Sum(t => t.Elements),
            Types = folder.Tensors.CountBy(t => t.Type.ToString()).ToDictionary(),
            ContextLength = folder.Config.ContextLength,
            Vocabulary = folder.Vocabulary,
            ChatTemplate = !string.IsNullOrEmpty(folder.ChatTemplate),
            Licence = folder.Licence,
            Trainable = trainable,
            Servable = servable,
            Accepted = true,
            Warnings = warnings,
        };
    }

    private static ModelInspection InspectPeft(string path, string? basePath)
    {
        using var adapter = PeftAdapter.Open(path);
        var model = basePath is null ? null : ReadBase(basePath);
        if (model is not null) adapter.CheckFits(model);
        var config = adapter.Config;
        List<ModelFinding> warnings = [.. Baseless(basePath)];
        if (model is not null && config.BaseName is { } name && !name.TrimEnd('/', '\\').EndsWith(model.Name, StringComparison.OrdinalIgnoreCase))
            warnings.Add(new("base_model_name_or_path", "adapter-base-name", $"says '{name}'; the base that was chosen counts, the name is only shown"));
        return new ModelInspection
        {
            Kind = "peft",
            Parameters = adapter.Weights.Tensors.Sum(t => t.Elements),
            Types = adapter.Weights.Tensors.CountBy(t => t.Type.ToString()).ToDictionary(),
            Rank = config.Rank,
            Alpha = config.Alpha,
            Trainable = config.Dora ? new(false, "DoRA adapters cannot be trained on yet") : new(true, "training can go on from it"),
            Servable = config.Dora ? new(false, "DoRA has to be merged into its base first: no GGUF adapter can hold it") : new(true, "served together with its base"),
            Accepted = true,
            Warnings = warnings,
        };
    }

    private static AdapterBase ReadBase(string path)
    {
        if (Directory.Exists(path))
        {
            using var folder = HuggingFaceFolder.Open(path);
            return AdapterBase.Of(folder);
        }
        using var file = GgufFile.Open(path);
        GgufModel.Check(file);
        return AdapterBase.Of(file);
    }

    private static ModelInspection InspectSafetensors(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var alone = new Ability(false, "weights alone: a model needs config.json and tokenizer.json beside them");
        return new ModelInspection
        {
            Kind = "safetensors",
            Parameters = file.Tensors.Sum(t => t.Elements),
            Types = file.Tensors.CountBy(t => t.Type.ToString()).ToDictionary(),
            Trainable = alone,
            Servable = alone,
            Accepted = true,
        };
    }

    private static void CheckTemplate(string field, string source)
    {
        if (ChatTemplateCheck.Check(source) is { } error) throw new RefusedException(error with { Field = field });
    }

    private static IReadOnlyList<ModelFinding> Baseless(string? basePath) =>
        basePath is null ? [new(null, "base-not-given", "checked on its own only: give the base (--base) to see whether they fit")] : [];
}
