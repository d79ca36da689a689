using Markdig;
using Markdig.Renderers.Html;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;
using Microsoft.AspNetCore.Components;

namespace TokenMill.Web.Features.Playground;

/// <summary>
/// A model's Markdown as HTML that is safe whatever the model wrote: HTML in it is text, images become their words (a remote one
/// would tell others what was said here), and links lead to web or mail addresses only, without saying where from.
/// </summary>
public static class AnswerMarkup
{
    private static readonly string[] LinkSchemes = ["http", "https", "mailto"];

    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder()
        .DisableHtml().UsePipeTables().UseEmphasisExtras().UseListExtras().UseAutoLinks().Build();

    /// <summary>Null when it is nested deeper than a reader could follow: show the text as it is.</summary>
    public static MarkupString? Render(string markdown)
    {
        MarkdownDocument document;
        try
        {
            document = Markdown.Parse(markdown, Pipeline);
        }
        catch (ArgumentException)
        {
            return null;                                   // Markdig's bound on nesting
        }
        foreach (var link in document.Descendants<LinkInline>().ToList()) Sanitise(link);
        foreach (var link in document.Descendants<AutolinkInline>().ToList())
        {
            if (link.IsEmail || IsAllowed(link.Url)) Mark(link);
            else link.ReplaceBy(new LiteralInline(link.Url));
        }
        return new MarkupString(document.ToHtml(Pipeline));
    }

    private static void Sanitise(LinkInline link)
    {
        if (!link.IsImage && IsAllowed(link.GetDynamicUrl?.Invoke() ?? link.Url))
        {
            Mark(link);
            return;
        }
        // The words stay, the address goes.
        var words = new ContainerInline();
        while (link.FirstChild is { } child)
        {
            child.Remove();
            words.AppendChild(child);
        }
        link.ReplaceBy(words);
    }

    private static bool IsAllowed(string? url) => Uri.TryCreate(url, UriKind.Absolute, out var address) && LinkSchemes.Contains(address.Scheme);

    private static void Mark(MarkdownObject link)
    {
        var attributes = link.GetAttributes();
        attributes.AddPropertyIfNotExist("target", "_blank");
        attributes.AddPropertyIfNotExist("rel", "noopener noreferrer nofollow");
    }
}
