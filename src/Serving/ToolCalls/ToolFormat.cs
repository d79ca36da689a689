namespace TokenMill.Serving.ToolCalls;

/// <summary>How a call's function and arguments are written.</summary>
internal enum ToolSyntax
{
    /// <summary>{"name": …, "arguments": {…}}, or a list of such objects.</summary>
    Json,

    /// <summary>The name, something behind it, and the arguments as a JSON object.</summary>
    NameThenJson,

    /// <summary>An object as with <see cref="Json"/>, or a list of calls as Python writes them: [name(argument="…")].</summary>
    JsonOrPython,

    /// <summary>Name and arguments between marks, the values of texts as they are: <see cref="XmlMarks"/>.</summary>
    Xml,
}

/// <summary>What stands around the parts of a call that is not written in JSON. A call is the name, then keys with their values.</summary>
/// <param name="ValueEnd">Begins with a character that it has once, so that it is found in one pass.</param>
internal sealed record XmlMarks(string NameStart, string NameEnd, string KeyStart, string KeyEnd, string ValueEnd, string CallEnd);

/// <summary>How a family of models writes calls of functions.</summary>
/// <param name="Start">What a call begins with; "": the whole answer is calls, or none.</param>
/// <param name="End">What stands behind a call.</param>
/// <param name="ArgumentsKey">The arguments' name in JSON.</param>
/// <param name="AfterName">What stands between name and arguments.</param>
internal sealed record ToolFormat(ToolSyntax Syntax, string Start, string End, string ArgumentsKey = "arguments", string AfterName = "", bool IsList = false, XmlMarks? Xml = null)
{
    public static ToolFormat Hermes { get; } = new(ToolSyntax.Json, "<tool_call>", "</tool_call>");
    public static ToolFormat Llama { get; } = new(ToolSyntax.JsonOrPython, "", "", "parameters");
    public static ToolFormat Mistral { get; } = new(ToolSyntax.Json, "[TOOL_CALLS]", "", IsList: true);
    public static ToolFormat MistralNamed { get; } = new(ToolSyntax.NameThenJson, "[TOOL_CALLS]", "", AfterName: "[ARGS]");
    public static ToolFormat Functionary { get; } = new(ToolSyntax.NameThenJson, "<function=", "</function>", AfterName: ">");
    public static ToolFormat FunctionaryRecipient { get; } = new(ToolSyntax.NameThenJson, ">>>", "", AfterName: "\n");

    public static ToolFormat QwenCoder { get; } = new(ToolSyntax.Xml, "<tool_call>", "</tool_call>", Xml: new("\n<function=", ">\n", "<parameter=", ">\n", "\n</parameter>\n", "</function>\n"));
    public static ToolFormat Glm { get; } = new(ToolSyntax.Xml, "<tool_call>", "</tool_call>", Xml: new("", "\n", "<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n", ""));

    /// <summary>What a Llama writes before a call, or leaves out.</summary>
    public const string PythonTag = "<|python_tag|>";

    /// <summary>To whom a Functionary speaks when it calls nothing.</summary>
    public const string Everyone = "all";

    /// <summary>Texts that mark something; some vocabularies have control tokens for them.</summary>
    public static IReadOnlyList<string> Marks { get; } = ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", PythonTag, "<function=", "</function>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", ThoughtText.Start, ThoughtText.End];

    /// <summary>The format that a chat template shows its model; null where it shows no tools at all.</summary>
    public static ToolFormat? Of(string template)
    {
        if (!template.Contains("tools", StringComparison.Ordinal)) return null;
        if (template.Contains("[TOOL_CALLS]", StringComparison.Ordinal)) return template.Contains("[ARGS]", StringComparison.Ordinal) ? MistralNamed : Mistral;
        if (template.Contains(">>>", StringComparison.Ordinal) && template.Contains("recipient", StringComparison.Ordinal)) return FunctionaryRecipient;
        if (template.Contains("<arg_key>", StringComparison.Ordinal)) return Glm;
        if (template.Contains("<tool_call>", StringComparison.Ordinal)) return template.Contains("<parameter=", StringComparison.Ordinal) ? QwenCoder : Hermes;
        if (template.Contains("<function=", StringComparison.Ordinal)) return Functionary;
        return template.Contains("ipython", StringComparison.Ordinal) || template.Contains("\"parameters\":", StringComparison.Ordinal) || template.Contains("[func_name", StringComparison.Ordinal) ? Llama : Hermes;
    }
}

/// <summary>Where a model's reasoning begins and ends.</summary>
internal static class ThoughtText
{
    public const string Start = "<think>", End = "</think>";
}
