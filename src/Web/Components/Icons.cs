namespace TokenMill.Web.Components;

/// <summary>Line icons as paths in a box of 24; drawn by <see cref="Icon"/>.</summary>
public static class Icons
{
    public const string Home = "M4 11.5 12 5l8 6.5V20h-5.5v-5h-5v5H4z";
    public const string Datasets = "M5 6.5c0-2.6 14-2.6 14 0v11c0 2.6-14 2.6-14 0zM5 6.5c0 2.6 14 2.6 14 0M5 12c0 2.6 14 2.6 14 0";
    public const string Models = "M12 3.5 19.5 8v8L12 20.5 4.5 16V8zM4.5 8l7.5 4.5L19.5 8M12 12.5v8";
    public const string FineTunes = "M4 8h9M18 8h2M4 16h3M12 16h8M15.5 5.5v5M9.5 13.5v5";
    public const string Evaluations = "M4 20h16M7 20v-7M12 20V5M17 20v-10";
    public const string Deployments = "M12 15V4M7.5 8.5 12 4l4.5 4.5M4.5 15v5h15v-5";
    public const string Playground = "M4.5 5h15v11h-9l-4.5 4v-4H4.5z";
    public const string Keys = "M14.5 4.5a5 5 0 1 1-3.6 8.5L5 19v-3.5M7.5 16.5 9 18M15.5 8.5h.01";
    public const string Usage = "M4.5 4.5h15v15h-15zM8 15l3-4 2.5 2L16.500 8.500";
    public const string Queue = "M4.500 6.500h15M4.500 12h15M4.500 17.500h9";
    public const string Users = "M9 11.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c.5-4 3-5.500 6.500-5.500s6 1.500 6.500 5.500M15.500 5a3.300 3.300 0 0 1 0 6.300M17.500 14.800c2.300.6 3.700 2.200 4 5.200";
    public const string Settings = "M12 8.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM12 3v3M12 18v3M3 12h3M18 12h3M5.600 5.600l2.100 2.100M16.300 16.300l2.100 2.100M18.400 5.600l-2.100 2.100M7.700 16.300l-2.100 2.100";
    public const string More = "M5 12h.01M12 12h.01M19 12h.01";
}
