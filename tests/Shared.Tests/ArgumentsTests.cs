using TokenMill.Shared.CommandLine;

namespace TokenMill.Shared.Tests;

public sealed class ArgumentsTests
{
    [Fact]
    public void Arguments_OptionsAndPositionals_AreTakenByNameAndPlace()
    {
        var arguments = new Arguments(["model.gguf", "--port=0", "--adapter", "a=1", "--adapter", "b=2", "--json"]);
        Assert.Equal("", arguments.Json());
        Assert.Equal(0, arguments.Int("--port"));
        Assert.Equal(["a=1", "b=2"], arguments.Options("--adapter"));
        Assert.Equal("model.gguf", arguments.Positional("MODEL"));
        arguments.End();
    }

    [Fact]
    public void Pairs_SeveralWordsAndSeveralTimes_AreAllTaken()
    {
        var arguments = new Arguments(["--map", "user=q", "assistant=a=b", "table.csv", "--map", "system=s", "--json"]);
        Assert.Equal([("user", "q"), ("assistant", "a=b"), ("system", "s")], arguments.Pairs("--map"));
        Assert.Equal("table.csv", arguments.Positional("FILE"));
        Assert.Throws<UsageException>(() => new Arguments(["--map", "q"]).Pairs("--map"));
    }

    [Fact]
    public void Arguments_LeftOver_IsWrongUsage() =>
        Assert.Throws<UsageException>(() => new Arguments(["--prot", "1"]).End());
}
