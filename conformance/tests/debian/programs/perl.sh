# Perl: data, files, processes, sockets between processes, signals.
exec perl - <<'END'
use strict; use warnings; use IO::Handle; use Socket; use POSIX qw(:sys_wait_h strftime);
my %h = map { $_ => $_ ** 2 } 1 .. 50;
print join(",", map { $h{$_} } sort { $a <=> $b } keys %h), "\n";
open(my $f, '+>', '/tmp/perl.txt') or die; print $f "line $_\n" for 1 .. 1000; seek($f, 0, 0);
my $n = 0; while (<$f>) { $n++ if /7/ } print "$n\n"; close $f;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; $a->autoflush(1); $b->autoflush(1);
my $pid = fork; if (!$pid) { close $a; my $l = <$b>; print $b uc $l; exit 6 }
close $b; print $a "hello\n"; print scalar <$a>; waitpid($pid, 0); print $? >> 8, "\n";
my $got = 0; local $SIG{ALRM} = sub { $got++ }; alarm 1; select(undef, undef, undef, 5); print "alarm $got\n";
my @out = map { `echo $_` } 1 .. 5; print @out;
print strftime("%Y-%m-%d", gmtime 86400 * 365), "\n";
$! = 2; print "$!\n"; print -e '/nonexistent' ? 'yes' : 'no', "\n";
system('sh', '-c', 'exit 12'); print $? >> 8, "\n";
kill 'KILL', $$;
END
