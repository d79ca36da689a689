using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;
using TokenMill.Serving.OpenAi;
using TokenMill.Serving.ToolCalls;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.ToolCalls;

public sealed class AnswerReaderTests
{
    private static readonly Dictionary<string, ToolFormat> Formats = new()
    {
        ["hermes"] = ToolFormat.Hermes, ["llama"] = ToolFormat.Llama, ["mistral"] = ToolFormat.Mistral, ["mistral-named"] = ToolFormat.MistralNamed,
        ["functionary"] = ToolFormat.Functionary, ["functionary-recipient"] = ToolFormat.FunctionaryRecipient,
        ["qwen-coder"] = ToolFormat.QwenCoder, ["glm"] = ToolFormat.Glm,
    };

    private static JsonObject Parameters => JsonNode.Parse("""{"properties":{"text":{"type":"string"}}}""")!.AsObject();

    [Theory]
    [InlineData("hermes", "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"}\\\"\"]}}\n</tool_call>", "Let me see.\n", "f({\"a\": [1, \"}\\\"\"]})")]
    [InlineData("hermes", "<tool_call>{\"arguments\": {\"x\": {}}, \"name\": \"g\"}</tool_call>\n<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "", "g({\"x\": {}});f({})")]
    [InlineData("hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}\n</tool_call> done", "done", "f({\"a\": 1})")]
    [InlineData("hermes", "<tool_call>\n{\"name\": \"unknown\", \"arguments\": {}}\n</tool_call>", "<tool_call>\n{\"name\": \"unknown\", \"arguments\": {}}\n</tool_call>", "")]
    [InlineData("hermes", "<tool_call> is how one calls <b>", "<tool_call> is how one calls <b>", "")]
    [InlineData("hermes", "a <tool_cal", "a <tool_cal", "")]
    [InlineData("hermes", "<tool_call>{\"nam", "<tool_call>{\"nam", "")]
    [InlineData("llama", "{\"name\": \"f\", \"parameters\": {\"a\": \"é😀\"}}", "", "f({\"a\": \"é😀\"})")]
    [InlineData("llama", "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {\"b\":1}}", "", "f({});g({\"b\":1})")]
    [InlineData("llama", "[f(a=1, b='it\\'s', c=[True, None], d={\"k\": -2.5}), g()]", "", "f({\"a\":1,\"b\":\"it's\",\"c\":[true,null],\"d\":{\"k\":-2.5}});g({})")]
    [InlineData("llama", "{\"answer\": 42, \"more\": [1]}", "{\"answer\": 42, \"more\": [1]}", "")]
    [InlineData("llama", "[1, 2, 3]", "[1, 2, 3]", "")]
    [InlineData("llama", "Plain {\"name\": \"f\"}", "Plain {\"name\": \"f\"}", "")]
    [InlineData("mistral", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]", "", "f({\"a\": 1});g({})")]
    [InlineData("mistral-named", "Hm. [TOOL_CALLS]f[ARGS]{\"a\": {\"b\": 1}}[TOOL_CALLS]g[ARGS]{}", "Hm. ", "f({\"a\": {\"b\": 1}});g({})")]
    [InlineData("functionary", "<function=f>{\"a\": \"</function>\"}</function>\n<function=g>{}</function>", "", "f({\"a\": \"</function>\"});g({})")]
    [InlineData("functionary-recipient", ">>>all\nHello>>>f\n{\"a\": 1}", "Hello", "f({\"a\": 1})")]
    [InlineData("qwen-coder", "I look.\n<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n<parameter=text>\nif (a < b) {\n  \"x\" }\n\n</parameter>\n</function>\n</tool_call>", "I look.\n", "f({\"a\":1,\"text\":\"if (a < b) {\\n  \\\"x\\\" }\\n\"})")]
    [InlineData("qwen-coder", "<tool_call>\n<function=g>\n</function>\n</tool_call>\n<tool_call><function=f><parameter=text>12</parameter><parameter=b>[true, null]</parameter></function></tool_call>", "", "g({});f({\"text\":\"12\",\"b\":[true,null]})")]
    [InlineData("qwen-coder", "<tool_call>\n<function=h>\n</function>\n</tool_call>", "<tool_call>\n<function=h>\n</function>\n</tool_call>", "")]
    [InlineData("qwen-coder", "<tool_call>\n<function=f>\n<parameter=a>\n1", "<tool_call>\n<function=f>\n<parameter=a>\n1", "")]
    [InlineData("glm", "\n<tool_call>f\n<arg_key>text</arg_key>\n<arg_value>a\nb</arg_value>\n<arg_key>n</arg_key>\n<arg_value>{\"k\": 1.5}</arg_value>\n</tool_call>\n<tool_call>g</tool_call>", "\n", "f({\"text\":\"a\\nb\",\"n\":{\"k\":1.5}});g({})")]
    [InlineData("glm", "<tool_call>f\n<arg_key>x</arg_key>\n</tool_call> so", "<tool_call>f\n<arg_key>x</arg_key>\n</tool_call> so", "")]
    [InlineData("hermes", "<think>\nShall I <tool_call>?\n</think>\n\nYes <b", "Yes <b", "", "Shall I <tool_call>?")]
    [InlineData("hermes", "  \n<think>x</think><tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "", "f({})", "x")]
    [InlineData("hermes", "<think>never ends </thin", "", "", "never ends </thin")]
    [InlineData("hermes", "<thinking aloud>", "<thinking aloud>", "")]
    [InlineData("hermes", "\n\nkept", "\n\nkept", "")]
    public void Answer_HoweverItIsCut_IsTakenApart(string format, string answer, string content, string calls, string reasoning = "")
    {
        for (var seed = 0; seed < 60; seed++)
        {
            var (random, reader, message) = (new Random(seed), new AnswerReader(Formats[format], new HashSet<string> { "f", "g" }, parallel: true, startsInThought: false, parametersOf: _ => Parameters), new MessageBuilder());
            for (var at = 0; at < answer.Length;)
            {
                var count = seed == 0 ? answer.Length : Math.Min(answer.Length - at, random.Next(1, 6));
                foreach (var delta in reader.Read(answer.Substring(at, count))) message.Add(delta);
                at += count;
            }
            foreach (var delta in reader.Finish()) message.Add(delta);
            var built = message.Build();
            Assert.Equal((content, calls, reasoning), (built.Content ?? "", string.Join(';', built.ToolCalls?.Select(c => $"{c.Function.Name}({c.Function.Arguments})") ?? []), built.ReasoningContent ?? ""));
            Assert.Equal(calls.Length > 0, reader.HasCalls);
            Assert.Equal(built.ToolCalls?.Count ?? 0, built.ToolCalls?.Select(c => c.Id).Distinct().Count() ?? 0);
        }
    }

    [Fact]
    public void Arguments_ComeAsTheyAreWritten()
    {
        var reader = new AnswerReader(ToolFormat.Hermes, new HashSet<string> { "f" }, parallel: true, startsInThought: false);
        Assert.Empty(reader.Read("<tool_call>\n{\"name\": \"f\", "));
        var deltas = reader.Read("\"arguments\": {\"text\": \"ab").Select(d => Assert.Single(d.ToolCalls!)).ToArray();
        Assert.Equal([("f", ""), (null, "{\"text\": \"ab")], deltas.Select(c => (c.Function.Name, c.Function.Arguments)));
        Assert.Equal("cd", Assert.Single(reader.Read("cd")).ToolCalls![0].Function.Arguments);
    }

    [Fact]
    public void Thought_BegunByThePrompt_IsReasoning()
    {
        var reader = new AnswerReader(null, new HashSet<string>(), parallel: true, startsInThought: true);
        Assert.Equal("why", Assert.Single(reader.Read("\nwhy")).ReasoningContent);
        Assert.True(reader.IsThinking);
        Assert.Equal("so", Assert.Single(reader.Read("\n</think>\n\nso")).Content);
        Assert.False(reader.IsThinking);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Thought_NotToBeSeparated_StaysInTheText(bool begun)
    {
        var reader = new AnswerReader(null, new HashSet<string>(), parallel: true, startsInThought: begun, separatesThought: false);
        Assert.Equal("<think>why</think>so", string.Concat(new[] { "<thi", "nk>why</th", "ink>so" }.SelectMany(reader.Read).Concat(reader.Finish()).Select(d => d.Content)));
    }

    /// <summary>Whatever the grammar allows is read as a call, values in the types of their schema.</summary>
    [Theory]
    [InlineData("qwen-coder", "<tool_call>\n<function=f>\n<parameter=text>\na </b>\n</parameter>\n<parameter=unit>\nC\n</parameter>\n<parameter=n>\n12\n</parameter>\n</function>\n</tool_call>", true)]
    [InlineData("qwen-coder", "<tool_call>\n<function=f>\n<parameter=text>\na\n</parameter>\n</function>\n</tool_call>", true)]
    [InlineData("qwen-coder", "<tool_call>\n<function=f>\n<parameter=n>\n12\n</parameter>\n</function>\n</tool_call>", false)]      // text is required
    [InlineData("qwen-coder", "<tool_call>\n<function=f>\n<parameter=text>\na\n</parameter>\n<parameter=unit>\nK\n</parameter>\n", false)]
    [InlineData("glm", "<tool_call>f\n<arg_key>text</arg_key>\n<arg_value>a < b</arg_value>\n<arg_key>n</arg_key>\n<arg_value>3</arg_value>\n</tool_call>", true)]
    [InlineData("glm", "<tool_call>f\n<arg_key>text</arg_key>\n<arg_value>a</arg_value>\n<arg_key>n</arg_key>\n<arg_value>x", false)]
    public void XmlGrammar_AllowsCalls(string format, string call, bool allowed)
    {
        var schema = JsonNode.Parse("""{"type":"object","properties":{"text":{"type":"string"},"unit":{"type":"string","enum":["C","F"]},"n":{"type":"integer"}},"required":["text"]}""")!.AsObject();
        var rules = new GrammarRules();
        var root = ToolGrammar.AddTo(rules, Formats[format], [new Tool("f", null, schema, true, "tools[0]")], parallel: false);
        Assert.Equal(allowed, Grammars.GrammarTests.Accepts(new GrammarAutomaton(GrammarText.Parse(rules.Write(root))), call));
        if (!allowed) return;
        var reader = new AnswerReader(Formats[format], new HashSet<string> { "f" }, parallel: true, startsInThought: false, parametersOf: _ => schema);
        var arguments = JsonNode.Parse(string.Concat(reader.Read(call).Concat(reader.Finish()).Select(d => d.ToolCalls?[0].Function.Arguments)))!;
        Assert.StartsWith("a", arguments["text"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.True(arguments["n"] is null || arguments["n"]!.GetValue<int>() > 0);
    }

    [Fact]
    public void OneCallAsked_OthersAreLeftOut()
    {
        var reader = new AnswerReader(ToolFormat.Hermes, new HashSet<string> { "f" }, parallel: false, startsInThought: false);
        const string call = "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
        Assert.Single(reader.Read(call + call), d => d.ToolCalls![0].Id is not null);
    }

    [Theory]
    [InlineData("Qwen-Qwen3-0.6B", "hermes")]
    [InlineData("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes")]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct", "llama")]
    [InlineData("mistralai-Mistral-Nemo-Instruct-2407", "mistral")]
    [InlineData("mistralai-Ministral-3-14B-Reasoning-2512", "mistral-named")]
    [InlineData("meetkai-functionary-medium-v3.2", "functionary-recipient")]
    [InlineData("Qwen3-Coder", "qwen-coder")]
    [InlineData("GLM-4.6", "glm")]
    [InlineData("microsoft-Phi-3.5-mini-instruct", null)]
    public void Format_IsSeenInTheTemplate(string template, string? format) =>
        Assert.Equal(format is null ? null : Formats[format], ToolFormat.Of(File.ReadAllText(Reference.Locate($"golden/templates/{template}.jinja"))));
}
