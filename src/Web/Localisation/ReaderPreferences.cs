namespace TokenMill.Web.Localisation;

/// <summary>What the browser keeps in cookies about its reader (see wwwroot/js/reader.js). Carried from the request into the live page.</summary>
/// <param name="TimeZone">IANA name.</param>
/// <param name="Theme">light, dark or system.</param>
public sealed record ReaderPreferences(string? TimeZone, string Theme)
{
    public static ReaderPreferences Of(HttpRequest request) => new(
        request.Cookies["timezone"] is { } zone ? Uri.UnescapeDataString(zone) : null,
        request.Cookies["theme"] is "light" or "dark" ? request.Cookies["theme"]! : "system");
}
