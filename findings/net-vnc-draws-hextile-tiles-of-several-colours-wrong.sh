#!/bin/bash
# Perl's Net::VNC (monitoring scripts take pictures of desktops with it) and its
# option save_bandwidth, which asks the server for Hextile.
#
# Expected: the same picture with the option and without it.
# Guess before it was run: rectangles of a tile whose x is not 0 lie at wrong
# places, since the y of a rectangle is taken from the whole byte and not from its
# low four bits; tiles of one colour are right.
# Seen (libnet-vnc-perl 0.40-3, Xtigervnc 1.12.0): so, and more. A desktop of one
# colour is the same. Of a red grid on blue more than half of the pixels differ:
# a tile with rectangles keeps what was there before instead of its background,
# and its rectangles have the colour that was read last. No error is raised.
# Consequence: a picture that was taken with save_bandwidth proves nothing about
# the desktop; leave the option out (docs/connect.md).
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v Xtigervnc >/dev/null && command -v xsetroot >/dev/null && perl -MNet::VNC -e 1 2>/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	tigervnc-standalone-server x11-xserver-utils libnet-vnc-perl >/dev/null 2>&1
have || { echo "tigervnc-standalone-server, x11-xserver-utils and libnet-vnc-perl cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill $! 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
dpkg-query -W libnet-vnc-perl tigervnc-standalone-server
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
Xtigervnc -displayfd 3 -geometry 160x96 -depth 24 -rfbport "$port" -localhost -SecurityTypes None \
	-desktop finding 3>"$dir/display" >/dev/null 2>&1 &
for _ in $(seq 100); do [ -s "$dir/display" ] && break; sleep 0.1; done
[ -s "$dir/display" ] || { echo "Xtigervnc did not start"; exit 2; }
DISPLAY=:$(cat "$dir/display")
export DISPLAY
cat >"$dir/look.pl" <<'PL'
use strict;
use warnings;
use Net::VNC;

# What xsetroot draws: one colour, or lines of red on blue, 5 and 7 pixels apart.
sub picture {
	my $vnc = Net::VNC->new({hostname => '127.0.0.1', port => $ARGV[0],
		save_bandwidth => $_[0], hide_cursor => 1});
	$vnc->depth(24);
	$vnc->login;
	my $image = $vnc->capture;
	my @pixels;
	for my $y (0 .. 95) {
		push @pixels, join ',', ($image->query_pixel($_, $y))[0 .. 2] for 0 .. 159;
	}
	return \@pixels;
}

sub differing {
	my ($raw, $hextile) = (picture(0), picture(1));
	my %colours = map { $_ => 1 } @$raw;
	my $n = grep { $raw->[$_] ne $hextile->[$_] } 0 .. $#$raw;
	return ($n / @$raw, join ' and ', sort keys %colours);
}

sub draw { system('xsetroot', @_) == 0 or exit 2 }

draw('-solid', '#0000ff');
my ($plain, $one) = differing();
draw('-mod', 5, 7, '-fg', '#ff0000', '-bg', '#0000ff');
my ($grid, $two) = differing();
printf "colours %s: %.0f %% of the pixels differ\n", $one, 100 * $plain;
printf "colours %s: %.0f %% of the pixels differ\n", $two, 100 * $grid;
exit 2 if $one ne '0,0,255' || $two ne '0,0,255 and 255,0,0' || $plain != 0;
exit($grid > 0.2 ? 0 : 1);
PL
timeout 60 perl "$dir/look.pl" "$port"
