//! Signals: `sigaction(2)`, `sigprocmask(2)`, `siginfo_t`.

use super::names;

names! {
    HOW("SIG_???") { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 }
    SA("SA_???") {
        SA_RESTORER = 0x0400_0000, SA_ONSTACK = 0x0800_0000, SA_RESTART = 0x1000_0000, SA_NODEFER = 0x4000_0000,
        SA_RESETHAND = 0x8000_0000, SA_SIGINFO = 4, SA_NOCLDSTOP = 1, SA_NOCLDWAIT = 2,
        SA_EXPOSE_TAGBITS = 0x800,
    }
    STACK("SS_???") { SS_ONSTACK = 1, SS_DISABLE = 2, SS_AUTODISARM = 0x8000_0000 }
    SIGNALFD("SFD_???") { SFD_CLOEXEC = 0o2_000_000, SFD_NONBLOCK = 0o4000 }
    NOTIFY("SIGEV_???") { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4 }
    /// `si_code` of any signal; negative ones as an int's 32 bits.
    CODE("SI_???") {
        SI_USER = 0, SI_KERNEL = 0x80, SI_QUEUE = 0xffff_ffff, SI_TIMER = 0xffff_fffe, SI_MESGQ = 0xffff_fffd,
        SI_ASYNCIO = 0xffff_fffc, SI_SIGIO = 0xffff_fffb, SI_TKILL = 0xffff_fffa,
    }
    CHILD_CODE("CLD_???") {
        CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3, CLD_TRAPPED = 4, CLD_STOPPED = 5, CLD_CONTINUED = 6,
    }
    SEGV_CODE("SEGV_???") { SEGV_MAPERR = 1, SEGV_ACCERR = 2, SEGV_BNDERR = 3, SEGV_PKUERR = 4 }
    BUS_CODE("BUS_???") { BUS_ADRALN = 1, BUS_ADRERR = 2, BUS_OBJERR = 3 }
    FPE_CODE("FPE_???") {
        FPE_INTDIV = 1, FPE_INTOVF = 2, FPE_FLTDIV = 3, FPE_FLTOVF = 4, FPE_FLTUND = 5, FPE_FLTRES = 6,
        FPE_FLTINV = 7, FPE_FLTSUB = 8,
    }
    ILL_CODE("ILL_???") {
        ILL_ILLOPC = 1, ILL_ILLOPN = 2, ILL_ILLADR = 3, ILL_ILLTRP = 4, ILL_PRVOPC = 5, ILL_PRVREG = 6,
        ILL_COPROC = 7, ILL_BADSTK = 8,
    }
    TRAP_CODE("TRAP_???") { TRAP_BRKPT = 1, TRAP_TRACE = 2, TRAP_BRANCH = 3, TRAP_HWBKPT = 4 }
    POLL_CODE("POLL_???") { POLL_IN = 1, POLL_OUT = 2, POLL_MSG = 3, POLL_ERR = 4, POLL_PRI = 5, POLL_HUP = 6 }
}
