using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests;

/// <summary>Models to try the engine on: the reference's, loaded with one thread (ggml's threads spin, and other tests run beside).</summary>
internal static class Models
{
    public static string SmolLm2 => Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf");

    public static string Family(string family, string file = "model.gguf") => Reference.Locate($"golden/families/{family}/{file}");

    public static ServedModel Load(string path, LlamaExecutorOptions? options = null, params IReadOnlyList<NamedAdapter> adapters) =>
        ServedModel.Load(path, adapters, (options ?? new LlamaExecutorOptions()) with { Threads = 1 });

    /// <summary>The same model with its matrices expanded to half or single precision.</summary>
    public static void WriteExpanded(string source, string target, GgufType matrices)
    {
        using var file = GgufFile.Open(source);
        var writer = new GgufWriter();
        writer.CopyPairs(file.Metadata);
        foreach (var tensor in file.Tensors)
        {
            var type = tensor.Dimensions.Count == 1 ? GgufType.F32 : matrices;
            writer.AddTensor(tensor.Name, tensor.Dimensions, type, stream =>
            {
                var values = new float[tensor.Elements];
                file.ReadFloats(tensor, values);
                var bytes = new byte[new GgufTensor(tensor.Name, tensor.Dimensions, type, 0).SizeBytes];
                GgufEncoder.Encode(type, values, bytes);
                stream.Write(bytes);
            });
        }
        writer.Save(target);
    }

    public static string TemporaryPath() => Path.Combine(Path.GetTempPath(), $"tokenmill-test-{Guid.NewGuid():N}.gguf");
}
