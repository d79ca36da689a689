using System.Buffers.Binary;
using System.Diagnostics;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Formats;

public sealed class GgufFileTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"tokenmill-{Guid.NewGuid():N}.gguf");

    public void Dispose() => File.Delete(_path);

    /// <summary>Each type against its definition, written element by element; random bytes reach every scale, sign and bit.</summary>
    [Theory]
    [InlineData(GgufType.F16)]
    [InlineData(GgufType.BF16)]
    [InlineData(GgufType.Q8_0)]
    [InlineData(GgufType.Q4_0)]
    [InlineData(GgufType.Q4_1)]
    [InlineData(GgufType.Q5_0)]
    [InlineData(GgufType.Q5_1)]
    [InlineData(GgufType.Q4_K)]
    [InlineData(GgufType.Q5_K)]
    [InlineData(GgufType.Q6_K)]
    public void ReadFloats_RandomBlocks_EqualTheDefinitionOfTheType(GgufType type)
    {
        var bytes = new byte[type.Block().Bytes * 4096 / type.Block().Elements];
        new Random(7).NextBytes(bytes);
        var writer = new GgufWriter();
        writer.AddTensor("w", [1024, 4], type, stream => stream.Write(bytes));
        writer.Save(_path);

        using var file = GgufFile.Open(_path);
        var tensor = file.Find("w")!;
        var values = new float[4096];
        file.ReadFloats(tensor, values);
        Assert.Equal(BlockDefinition.Decode(type, bytes), values);

        var row = new float[1024];
        file.ReadFloats(tensor, row, firstRow: 2);
        Assert.Equal(values[2048..3072], row);
    }

    [Fact]
    public void Encode_Q8_IsWithinHalfAStepOfTheValues()
    {
        var random = new Random(5);
        var values = Enumerable.Range(0, 4096).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
        var bytes = new byte[4096 / 32 * 34];
        GgufEncoder.Encode(GgufType.Q8_0, values, bytes);
        var back = BlockDefinition.Decode(GgufType.Q8_0, bytes);
        for (var i = 0; i < values.Length; i++)
        {
            var step = (float)BinaryPrimitives.ReadHalfLittleEndian(bytes.AsSpan(i / 32 * 34));
            Assert.InRange(Math.Abs(back[i] - values[i]), 0, step * 0.57);       // the scale itself is rounded to 11 bits
        }
    }

    [Theory]
    [InlineData(GgufType.F16, float.PositiveInfinity)]
    [InlineData(GgufType.F16, 70000f)]
    [InlineData(GgufType.Q8_0, float.NaN)]
    public void Encode_ValueOutOfRange_IsRefused(GgufType type, float value) =>
        Assert.Equal("value-out-of-range", Assert.Throws<RefusedException>(() => GgufEncoder.Encode(type, Enumerable.Repeat(value, 32).ToArray(), new byte[64])).Error.Code);

    [Fact]
    public void Writer_CopyOfAModel_KeepsEveryPairAndEveryByte()
    {
        using var source = GgufFile.Open(Reference.Locate("golden/families/llama-tied/model.gguf"));
        var writer = new GgufWriter();
        writer.CopyPairs(source.Metadata);
        foreach (var tensor in source.Tensors) writer.AddTensor(tensor.Name, tensor.Dimensions, tensor.Type, stream => stream.Write(Bytes(source, tensor)));
        writer.Save(_path);

        using var copy = GgufFile.Open(_path);
        Assert.Equal(source.Metadata.Keys, copy.Metadata.Keys);
        Assert.All(source.Metadata.Keys, key => Assert.Equivalent(source.Metadata.Raw(key), copy.Metadata.Raw(key), strict: true));
        Assert.Equal(source.Tensors.Select(t => t.Name), copy.Tensors.Select(t => t.Name));
        Assert.All(source.Tensors, t => Assert.Equal(Bytes(source, t), Bytes(copy, copy.Find(t.Name)!)));
    }

    [Fact]
    public void Metadata_Values_ReadBackAsWritten()
    {
        var writer = new GgufWriter();
        writer.Add("text", "grüße");
        writer.Add("number", 3000000000u);
        writer.Add("texts", ["", "a", "é\n"]);
        writer.Add("floats", [1.5f, -2f]);
        writer.Add("number", 7u);
        writer.Save(_path);

        using var file = GgufFile.Open(_path);
        Assert.Equal("grüße", file.Metadata.String("text"));
        Assert.Equal(7u, file.Metadata.UInt32("number"));
        Assert.Equal(["", "a", "é\n"], file.Metadata.Strings("texts"));
        Assert.Equal([1.5f, -2f], file.Metadata.TryFloat32s("floats")!);
        Assert.Equal("gguf-key-type", Assert.Throws<RefusedException>(() => file.Metadata.TryUInt32("text")).Error.Code);
        Assert.Equal("gguf-key-missing", Assert.Throws<RefusedException>(() => file.Metadata.UInt32("absent")).Error.Code);
    }

    [Fact]
    public void ReadFloats_WholeModel_TakesAboutASecond()
    {
        using var file = GgufFile.Open(Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf"));
        var values = new float[file.Tensors.Max(t => t.Elements)];
        var watch = Stopwatch.StartNew();
        foreach (var tensor in file.Tensors) file.ReadFloats(tensor, values.AsSpan(0, (int)tensor.Elements));
        output.WriteLine($"{file.Tensors.Sum(t => t.Elements):N0} weights in {watch.ElapsedMilliseconds} ms");
        Assert.InRange(watch.ElapsedMilliseconds, 0, 5000);
    }

    private static byte[] Bytes(GgufFile file, GgufTensor tensor)
    {
        var bytes = new byte[tensor.SizeBytes];
        file.ReadBytes(tensor, bytes);
        return bytes;
    }
}
