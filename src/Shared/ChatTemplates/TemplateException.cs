namespace TokenMill.Shared.ChatTemplates;

/// <summary>Why a chat template gave no text.</summary>
public enum TemplateErrorKind
{
    /// <summary>The template itself refused (<c>raise_exception</c>); the message is its author's, unchanged.</summary>
    RaiseException,

    /// <summary>The template does not parse, or cannot handle this input.</summary>
    TemplateError,

    /// <summary>The template wanted more steps, depth or memory than it gets.</summary>
    Budget,
}

/// <summary>The only exception that parsing and rendering a chat template lets out.</summary>
public sealed class TemplateException(TemplateErrorKind kind, string message, string? type = null) : Exception(message)
{
    public TemplateErrorKind Kind { get; } = kind;

    /// <summary>Python's name for the error, such as <c>TypeError</c> or <c>SecurityError</c>; null unless <see cref="TemplateErrorKind.TemplateError"/>.</summary>
    public string? ErrorType { get; } = type;

    /// <summary>The kind as the command line spells it.</summary>
    public string Code => Kind switch
    {
        TemplateErrorKind.RaiseException => "raise_exception",
        TemplateErrorKind.TemplateError => "template_error",
        _ => "budget",
    };

    internal static TemplateException Error(string type, string message) => new(TemplateErrorKind.TemplateError, $"{type}: {message}", type);

    internal static TemplateException TypeError(string message) => Error("TypeError", message);

    internal static TemplateException ValueError(string message) => Error("ValueError", message);

    internal static TemplateException Syntax(string message, int line) => Error("TemplateSyntaxError", $"{message} (line {line})");

    internal static TemplateException OverBudget(string what) => new(TemplateErrorKind.Budget, $"the chat template needs more {what} than is allowed");
}
